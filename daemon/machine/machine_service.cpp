#include "daemon/machine/machine_service.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/state_file.hpp"
#include "core/foundation/wall_clock.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/machine/ended_records.hpp"
#include "daemon/machine/machine_messages.hpp"

namespace seedbed {

namespace {

/// All machines of a room may ask at the same moment; only a faulty machine sends more requests than this.
constexpr int most_requests_at_once = 2000;
constexpr std::chrono::milliseconds time_of_request{2};

present_time present() {
    return {wall_clock_now(), std::chrono::steady_clock::now()};
}

http_response plain(int status, std::string text) {
    return {status, "text/plain; charset=utf-8", std::move(text) + "\n"};
}

} // namespace

machine_service::machine_service(boost::asio::io_context& main, worker_pool& workers,
                                 std::function<std::optional<std::string>(std::string const&)> why_unavailable,
                                 std::function<void(deployment_record)> on_end)
    : m_main(main)
    , m_workers(workers)
    , m_why_unavailable(std::move(why_unavailable))
    , m_on_end(std::move(on_end))
    , m_requests(most_requests_at_once, time_of_request) {}

machine_service::~machine_service() = default;

void machine_service::apply(settings const& wanted, std::string const& folder) {
    m_orders.configure(wanted.machines, wanted.boot.order);
    auto file = (std::filesystem::path(folder) / "machines.json").string();
    if (file == m_file) {
        return;
    }
    m_file = std::move(file);
    m_not_ready = "the daemon is reading the record of its jobs";
    m_workers.submit([this, alive = std::weak_ptr(m_alive), &main = m_main, path = m_file] {
        boost::asio::post(main, [this, alive, path, jobs = load_job_record(path)]() mutable {
            if (!alive.expired()) {
                on_loaded(path, std::move(jobs));
            }
        });
    });
}

void machine_service::on_loaded(std::string const& file, result<machine_jobs> jobs) {
    if (file != m_file) {
        return; // another folder was configured meanwhile
    }
    if (jobs) {
        m_orders.restore(std::move(*jobs));
        m_not_ready.clear();
    } else {
        m_not_ready = jobs.error().message;
        log_error({}, m_not_ready + "; machines get no jobs until the file is repaired or removed, and the daemon "
                                    "restarted: without it, all machines would be deployed again");
    }
    m_saved = m_orders.changes() - 1; // at least the jobs of new machines
}

// --- agents

void machine_service::answer_agent(http_request const& request, http_respond const& respond) {
    if (!m_requests.take(allowance::clock::now())) {
        respond(plain(429, "too many requests"));
        return;
    }
    if (!m_not_ready.empty()) {
        respond(plain(503, m_not_ready));
        return;
    }
    auto const path = request.target.substr(0, request.target.find('?'));
    if (path == machine_job_path) {
        respond_when_saved(respond, give_job(request));
    } else if (path == machine_report_path) {
        respond_when_saved(respond, take_report(request));
    } else {
        respond(plain(404, std::string("try ") + machine_job_path + " or " + machine_report_path));
    }
}

http_response machine_service::give_job(http_request const& request) {
    auto const query = query_string::parse(request.target);
    auto who = query ? read_machine_identity(*query) : tl::unexpected(error{"invalid percent-encoding"});
    if (!who) {
        return plain(400, who.error().message);
    }
    who->address = request.peer_address;
    auto const before = m_orders.changes();
    auto const answer = m_orders.ask(*who, m_why_unavailable, present());
    auto const card = who->macs.empty() ? who->serial : who->macs.front();
    if (answer.job != nullptr && m_orders.changes() != before) {
        log_info({answer.job->order.image, {}, request.peer_address},
                 fmt::format("machine {}: running job {} at {}", answer.machine, answer.job->id, request.peer_address));
    } else if (answer.machine.empty()) {
        log_stranger(card, request.peer_address, answer.reason);
    }
    return {200, "application/json", to_json_text(answer)};
}

void machine_service::log_stranger(std::string const& card, std::string const& address, std::string const& reason) {
    if (auto const note = m_strangers.take_noting(allowance::clock::now())) {
        log_info({{}, {}, address},
                 fmt::format("a machine with no job has asked for one: {} at {}: {}{}", card, address, reason, *note));
    }
}

http_response machine_service::take_report(http_request const& request) {
    auto const query = query_string::parse(request.target);
    auto const said = query ? read_job_report(*query) : tl::unexpected(error{"invalid percent-encoding"});
    if (!said) {
        return plain(400, said.error().message);
    }
    auto const machine = m_orders.machine_of(said->id);
    auto const* const job = m_orders.job_of(machine);
    auto const before = job != nullptr ? job->state : job_state::waiting;
    if (auto const taken = m_orders.report(*said, request.peer_address, present()); !taken) {
        return plain(job == nullptr ? 404 : 409, taken.error().message);
    }
    note_end(machine, before, *said, request.peer_address);
    return plain(200, "noted");
}

void machine_service::note_end(std::string const& machine, job_state before, job_report const& said,
                               std::string const& address) {
    auto const* const job = m_orders.job_of(machine);
    if (job == nullptr || job->state == before || !is_final(job->state)) {
        return;
    }
    auto record = record_of(machine, *job, said);
    record.address = address;
    m_on_end(std::move(record));
    if (job->state == job_state::done) {
        log_info({job->order.image, job->device, {}},
                 fmt::format("machine {}: done: {} on {}{}", machine, job->order.image, job->device,
                             job->reason.empty() ? "" : ": " + job->reason));
    } else {
        log_warning({job->order.image, job->device, {}},
                    fmt::format("machine {}: {}: {}", machine, to_string(job->state), job->reason));
    }
}

// --- the operator

bool machine_service::answer_operator(http_request const& request, http_respond const& respond) {
    auto const path = request.target.substr(0, request.target.find('?'));
    if (path == "/machines") {
        respond({200, "application/json", to_json_text(m_orders.rows())});
    } else if (path == "/machines/redo") {
        if (m_not_ready.empty()) {
            respond_when_saved(respond, redo(request));
        } else {
            respond(plain(503, m_not_ready)); // a damaged record is not overwritten
        }
    } else {
        return false;
    }
    return true;
}

http_response machine_service::redo(http_request const& request) {
    auto const query = query_string::parse(request.target);
    auto const names = m_orders.redo(std::string(query ? query->find("name").value_or("") : ""));
    if (!names) {
        return plain(409, names.error().message);
    }
    std::string lines;
    for (auto const& name : *names) {
        log_info({}, "machine " + name + ": a new job was ordered");
        lines += name + "\n";
    }
    return {200, "text/plain; charset=utf-8", lines};
}

// --- the record

void machine_service::respond_when_saved(http_respond const& respond, http_response response) {
    if (m_saved == m_orders.changes() && !m_failed) {
        respond(std::move(response));
        return;
    }
    m_pending.push_back({m_orders.changes(), respond, std::move(response)});
    save();
}

void machine_service::save() {
    if (m_saving) {
        return;
    }
    m_saving = true;
    m_workers.submit([this, alive = std::weak_ptr(m_alive), &main = m_main, changes = m_orders.changes(), path = m_file,
                      jobs = m_orders.jobs()] {
        auto outcome = save_state_file(path, format_job_record(jobs));
        boost::asio::post(main, [this, alive, changes, outcome = std::move(outcome)] {
            if (!alive.expired()) {
                on_saved(changes, outcome);
            }
        });
    });
}

void machine_service::on_saved(std::uint64_t changes, result<void> const& outcome) {
    m_saving = false;
    m_saved = outcome ? changes : m_saved;
    if (!outcome && !m_failed) {
        log_error({}, "cannot save the record of jobs: " + outcome.error().message +
                          "; machines get no jobs until it can be saved");
    }
    m_failed = !outcome;
    auto pending = std::exchange(m_pending, {});
    for (auto& each : pending) {
        if (!outcome) {
            each.respond(plain(503, "cannot save the record of jobs"));
        } else if (each.changes <= changes) {
            each.respond(std::move(each.response));
        } else {
            m_pending.push_back(std::move(each));
        }
    }
    if (!m_pending.empty()) {
        save();
    }
}

} // namespace seedbed
