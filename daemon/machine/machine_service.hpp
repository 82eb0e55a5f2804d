#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/history/deployment_record.hpp"
#include "daemon/http/http_message.hpp"
#include "daemon/log/line_limit.hpp"
#include "daemon/machine/machine_orders.hpp"

namespace seedbed {

/// The machines' jobs as a service: answers the agents, the operator, and keeps the record of the jobs in the state
/// folder, in the file machines.json. A job is given out, and its end acknowledged, only after the record is on the
/// disk: whatever happens to this machine, no job runs twice. If the record exists but cannot be read, no jobs are
/// given out.
///
/// Threads: confined to the main thread; workers read and write the record. Pending writes may end after this object.
class machine_service {
public:
    /// \param main, \p workers must outlive the pending writes. \param why_unavailable why an image cannot be deployed
    /// at present, or nothing. \param on_end is called with each job that ends.
    machine_service(boost::asio::io_context& main, worker_pool& workers,
                    std::function<std::optional<std::string>(std::string const&)> why_unavailable,
                    std::function<void(deployment_record)> on_end);
    machine_service(machine_service const&) = delete;
    machine_service& operator=(machine_service const&) = delete;
    ~machine_service();

    /// Uses the machines of \p wanted, and the record in \p folder. If that is another folder than before, its record
    /// is read; until that is done, agents are told to ask again later.
    void apply(settings const& wanted, std::string const& folder);

    /// Answers a request below /machine/ whose sender may take part, and has proved that it knows the secret if there
    /// is one.
    void answer_agent(http_request const& request, http_respond const& respond);

    /// Answers /machines and /machines/redo?name=... for the operator. \return whether the request
    /// is one of these.
    bool answer_operator(http_request const& request, http_respond const& respond);

    /// The machines, for displays.
    [[nodiscard]] std::vector<machine_row> rows() const { return m_orders.rows(); }

private:
    struct pending_answer {
        std::uint64_t changes; ///< of the orders, that must be on the disk
        http_respond respond;
        http_response response;
    };

    void on_loaded(std::string const& file, result<machine_jobs> jobs);
    [[nodiscard]] http_response give_job(http_request const& request);
    /// Logs a request of a machine for which no job exists. \param card its MAC address or serial number.
    void log_stranger(std::string const& card, std::string const& address, std::string const& reason);
    [[nodiscard]] http_response take_report(http_request const& request);
    [[nodiscard]] http_response redo(http_request const& request);
    void respond_when_saved(http_respond const& respond, http_response response);
    void save();
    void on_saved(std::uint64_t changes, result<void> const& outcome);
    /// Logs the end of a job, and tells on_end. \param before the state of the machine's job before a report.
    /// \param address from which it was reported.
    void note_end(std::string const& machine, job_state before, job_report const& said, std::string const& address);

    boost::asio::io_context& m_main;
    worker_pool& m_workers;
    std::function<std::optional<std::string>(std::string const&)> const m_why_unavailable;
    std::function<void(deployment_record)> const m_on_end;
    machine_orders m_orders;
    std::string m_file;
    std::string m_not_ready = "the daemon is starting"; ///< why no jobs are given out; empty: they are
    std::vector<pending_answer> m_pending;
    std::uint64_t m_saved = 0; ///< changes that are on the disk
    bool m_saving = false;
    bool m_failed = false; ///< the last write
    allowance m_requests;
    line_limit m_strangers{5, std::chrono::minutes(1)};
    std::shared_ptr<bool> m_alive = std::make_shared<bool>(true); ///< for handlers that may run after this object
};

} // namespace seedbed
