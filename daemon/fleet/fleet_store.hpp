#pragma once

#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/saved_fleet.hpp"

namespace seedbed {

/// Keeps the records of fleets (fleet::record()) in the state folder, one file per image, so that a restart of the
/// daemon does not lose the count. A file is always complete: a new one is written under another name and flushed, then
/// it replaces the old one.
///
/// Threads: confined to the main thread; workers read and write. Pending jobs may end after this object.
class fleet_store {
public:
    /// \param main runs the receivers. \param workers and \p main must outlive the jobs.
    fleet_store(boost::asio::io_context& main, worker_pool& workers, std::string folder);

    /// Uses another folder from now on. The files in the old one remain there.
    void set_folder(std::string folder);

    /// Saves the text that \p record makes on a worker. If several are waiting to be written, only the last one is. The
    /// first failure in a folder is logged.
    void save(std::string const& image, info_hash const& hash, std::function<std::string()> record);
    /// Reads and parses on a worker, and calls \p receive on the main thread, never from within load(): with the
    /// record, null if there is no file, or an error that names the file.
    using record_handler = std::function<void(result<std::shared_ptr<saved_fleet const>> const&)>;
    void load(std::string const& image, info_hash const& hash, record_handler receive);

    /// The file of an image's record.
    [[nodiscard]] std::string file_of(std::string const& image, info_hash const& hash) const;

private:
    struct shared;
    boost::asio::io_context& m_main;
    worker_pool& m_workers;
    std::string m_folder;
    std::shared_ptr<shared> m_shared;
};

} // namespace seedbed
