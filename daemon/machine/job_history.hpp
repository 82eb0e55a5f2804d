#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/machine/machine_job.hpp"

namespace seedbed {

/// A job that has ended. Its phase and percentage are not kept.
struct ended_job {
    std::string machine;
    machine_job job;
};

/// Ended jobs, the oldest first. Copies share the jobs.
using ended_jobs = std::deque<std::shared_ptr<ended_job const>>;

/// The most jobs in the history.
inline constexpr std::size_t most_ended_jobs = 1000;

/// As the file has them: one JSON object a line, the oldest job first.
[[nodiscard]] std::string format_history_file(ended_jobs const& jobs);
/// The reverse. Reads the last jobs if there are too many. \param skipped the number of lines that are no ended job.
[[nodiscard]] ended_jobs parse_history_file(std::string const& text, std::size_t& skipped);
/// The history as displays and `seedbed machine history --json` get it: a JSON document, format 1, the newest job
/// first.
[[nodiscard]] std::string to_history_document(ended_jobs const& jobs);

/// The jobs that ended last, at most most_ended_jobs, kept in the file machine-history.jsonl of the state folder. It is
/// for people: nothing depends on it, and a daemon that is killed may lose the ends of the last moments. A file that
/// cannot be read is logged and left as it is; damaged lines are left out.
///
/// Threads: confined to the main thread; workers read and write the file. A pending write may end after this object.
class job_history {
public:
    /// \param main, \p workers must outlive the pending jobs.
    job_history(boost::asio::io_context& main, worker_pool& workers);
    job_history(job_history const&) = delete;
    job_history& operator=(job_history const&) = delete;
    ~job_history();

    /// Uses the file in \p folder from now on: forgets what it has, and reads the file.
    void open(std::string const& folder);
    /// Adds a job that has ended. Replaces an entry with the same id: after a crash, an agent reports its end again.
    void add(std::string const& machine, machine_job const& job);

    [[nodiscard]] ended_jobs const& jobs() const noexcept { return m_jobs; }

private:
    struct writer;

    void on_loaded(std::string const& file, result<ended_jobs> const& loaded, std::size_t skipped);
    void put(std::shared_ptr<ended_job const> added);
    void save();

    boost::asio::io_context& m_main;
    worker_pool& m_workers;
    std::string m_file;
    bool m_loaded = false; ///< the file has been read; it may be replaced
    ended_jobs m_jobs;
    std::shared_ptr<writer> m_writer;
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< for handlers that may run after this object
};

} // namespace seedbed
