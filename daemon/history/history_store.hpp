#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/history/deployment_record.hpp"

namespace seedbed {

/// The daemon's history of deployments, in the file history.sqlite of the state folder, made for the first record.
/// Nothing depends on it: if the
/// database cannot be used, that is logged once and the daemon goes on without it.
///
/// Threads: confined to the main thread, which never waits: a thread of its own makes all calls of SQLite. Records that
/// were added are written before the destructor returns.
class history_store {
public:
    /// Called on the main thread with a document of history_document.hpp, or why there is none.
    using receiver = std::function<void(result<std::string> const&)>;

    explicit history_store(boost::asio::io_context& main);
    history_store(history_store const&) = delete;
    history_store& operator=(history_store const&) = delete;
    ~history_store();

    /// Uses the database in \p folder, and keeps at most \p limit records in it; 0: none. The first time, a database
    /// that is new gets the ended jobs that an earlier version has kept in machine-history.jsonl.
    void apply(std::string const& folder, std::size_t limit);
    /// Adds a deployment that has ended, unless its end is known. If too many wait to be written, it is left out, and
    /// their number logged.
    void add(deployment_record record);
    /// If too many requests wait, the answer is an error at once.
    void find(history_filter filter, receiver call);

    /// Increased after a record was written.
    [[nodiscard]] std::uint64_t changes() const noexcept { return m_changes; }

private:
    struct file;

    boost::asio::io_context& m_main;
    std::string m_folder;
    std::size_t m_limit = 0;
    std::size_t m_finding = 0; ///< requests that wait
    std::uint64_t m_changes = 0;
    std::shared_ptr<file> m_file;
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< for answers that may arrive after this object
    worker_pool m_worker{"history", 1};
};

} // namespace seedbed
