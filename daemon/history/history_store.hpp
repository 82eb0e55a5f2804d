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

/// The daemon's history of deployments, in the file history.sqlite of the state folder, which is created for the first
/// record. Nothing depends on it: if the database cannot be used, this is logged once, and the daemon continues without
/// it.
///
/// Threads: confined to the main thread, which never waits: only the store's own thread calls SQLite. The destructor
/// returns after all added records are written.
class history_store {
public:
    /// Called on the main thread with a document of history_document.hpp, or with the reason why there is none.
    using receiver = std::function<void(result<std::string> const&)>;

    explicit history_store(boost::asio::io_context& main);
    history_store(history_store const&) = delete;
    history_store& operator=(history_store const&) = delete;
    ~history_store();

    /// Uses the database in \p folder, and keeps at most \p limit records in it; 0: none. A new database is filled with
    /// the ended jobs that an earlier version recorded in machine-history.jsonl.
    void apply(std::string const& folder, std::size_t limit);
    /// Adds a deployment that has ended, unless it is already recorded. If too many are waiting to be written, its
    /// receipt is dropped, or all of it, and the number of dropped ones is logged.
    void add(deployment_record record);
    /// Answers later; with an error at once if the limit is 0 or too many requests are waiting.
    void find(history_filter filter, receiver call);

    /// Increased after a record was written.
    [[nodiscard]] std::uint64_t changes() const noexcept { return m_changes; }

private:
    struct file;

    boost::asio::io_context& m_main;
    std::string m_folder;
    std::size_t m_limit = 0;
    std::size_t m_finding = 0; ///< waiting requests
    std::uint64_t m_changes = 0;
    std::shared_ptr<file> m_file;
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< for answers that may arrive after this object
    worker_pool m_worker{"history", 1};
};

} // namespace seedbed
