#include "daemon/commands/agent.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include <sys/reboot.h>
#include <unistd.h>

#include "core/foundation/find_program.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/layout/program_run.hpp"
#include "daemon/agent/after_hooks.hpp"
#include "daemon/agent/deployed_disk.hpp"
#include "daemon/agent/job_run.hpp"
#include "daemon/agent/machine_facts.hpp"
#include "daemon/agent/report_repeater.hpp"
#include "daemon/agent/retry_pause.hpp"
#include "daemon/commands/agent_options.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/confirm_overwrite.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/machine/machine_messages.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/terminal/console.hpp"
#include "daemon/terminal/overview_text.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto agent_request_timeout = 10s;
constexpr auto progress_every = 2s;
constexpr auto program_report_every = 10s; ///< while a program of --after-deploy runs
constexpr unsigned answer_ok = 200;
constexpr unsigned answer_forbidden = 403;
constexpr unsigned answer_not_found = 404;
constexpr unsigned answer_conflict = 409;
constexpr unsigned answer_too_long = 431;

/// Reboots or powers off. \return why it could not.
result<void> end_machine(after_deploy action, std::string const& program) {
    auto const* const verb = to_string(action);
    std::error_code ignored; // systemd is not running in this case
    auto const systemctl = std::filesystem::exists("/run/systemd/system", ignored) ? find_program("systemctl") : "";
    if (auto const& path = program.empty() ? systemctl : program; !path.empty()) {
        auto const ended = run_to_end(path, {verb});
        if (!ended) {
            return tl::unexpected(ended.error());
        }
        if (ended->status != 0) {
            return tl::unexpected(
                error{path + ": exit status " + std::to_string(ended->status) + ": " + ended->last_line});
        }
        return {};
    }
    ::sync();
    if (::reboot(action == after_deploy::reboot ? RB_AUTOBOOT : RB_POWER_OFF) != 0) {
        return tl::unexpected(errno_error("reboot(2)", errno));
    }
    return {};
}

/// The agent: asks for jobs and does them.
class agent_run {
public:
    agent_run(agent_options options, agent_settings common, std::shared_ptr<shared_secret const> secret)
        : m_options(std::move(options))
        , m_settings(std::move(common))
        , m_server(m_options.server, std::move(secret)) {}

    int run() {
        m_console.start_log(m_settings.in_force.log.level);
        for (;;) {
            auto const offer = ask();
            if (offer.job) {
                if (auto const code = do_job(offer); code != exit_ok || m_options.once) {
                    return code;
                }
                continue;
            }
            note_nothing(offer);
            if (m_options.once && !offer.job_waits) {
                return exit_ok;
            }
            std::this_thread::sleep_for(offer.ask_again);
        }
    }

private:
    void print(std::string const& line) { m_console.print(printable(line)); }

    /// The reason of the last answer, once.
    void note_nothing(job_offer const& offer) {
        auto const who = offer.machine.empty() ? "this machine" : offer.machine;
        auto text = who + " has no job: " + offer.reason;
        if (text != m_last_note) {
            print(text);
            m_last_note = std::move(text);
        }
    }

    // --- the server

    /// Calls \p attempt, which returns why the server did not answer, until it returns nothing.
    void until_answered(std::function<std::optional<std::string>()> const& attempt) {
        retry_pause pause;
        while (auto const failure = attempt()) {
            if (!pause.is_away()) { // one line for each outage
                print("no answer from " + m_server.url() + ": " + *failure + "; retrying");
            }
            std::this_thread::sleep_for(pause.next(std::uniform_real_distribution<>()(m_random)));
        }
        if (pause.is_away()) {
            print(m_server.url() + " answers again");
        }
    }

    [[nodiscard]] machine_identity identity() const {
        auto const given = !m_options.macs.empty() || !m_options.serial.empty();
        return {given ? m_options.macs : find_macs(), given ? m_options.serial : find_dmi_serial(),
                list_text(list_disks()), ""};
    }

    job_offer ask() {
        job_offer offer;
        until_answered([&]() -> std::optional<std::string> {
            auto const answer = m_server.ask(machine_job_path, to_query(identity()), agent_request_timeout);
            if (!answer) {
                return answer.error().message;
            }
            if (answer->status == answer_forbidden) {
                return "it refuses this machine: check its secret_file and allow";
            }
            if (answer->status != answer_ok) {
                return "HTTP status " + std::to_string(answer->status) + ": " +
                       answer->body.substr(0, answer->body.find('\n'));
            }
            auto parsed = parse_job_offer(answer->body);
            if (!parsed) {
                return parsed.error().message;
            }
            offer = std::move(*parsed);
            return std::nullopt;
        });
        return offer;
    }

    /// Reports the end of a job until the server has noted it: it will not give the job again.
    void report_end(job_report end) {
        until_answered([&]() -> std::optional<std::string> {
            auto const answer = m_server.ask(machine_report_path, to_query(end), agent_request_timeout);
            if (!answer) {
                return answer.error().message;
            }
            if (answer->status == answer_too_long && !end.receipt.empty()) {
                end.receipt.clear(); // [tracker] max_request of the server is small
                return "it accepts no receipt";
            }
            if (answer->status == answer_not_found || answer->status == answer_conflict) {
                print("the server rejected the report: " + answer->body.substr(0, answer->body.find('\n')));
                return std::nullopt;
            }
            return answer->status == answer_ok ? std::nullopt
                                               : std::optional("HTTP status " + std::to_string(answer->status));
        });
    }

    /// Reports progress without waiting for the answer; only one report is under way.
    void report_progress(job_report said) {
        auto const now = std::chrono::steady_clock::now();
        if (now < m_next_progress || m_reporting.exchange(true)) {
            return;
        }
        m_next_progress = now + progress_every;
        m_reporter.submit([this, said = std::move(said)] {
            // The next report follows anyway, and the end is reported until the server answers.
            static_cast<void>(m_server.ask(machine_report_path, to_query(said), progress_every));
            m_reporting = false;
        });
    }

    // --- a job

    exit_code do_job(job_offer const& offer) {
        auto const& job = *offer.job;
        m_last_note.clear();
        auto const began = std::chrono::steady_clock::now();
        print(offer.machine + ": job " + job.id + ": " + job.order.image + " to disk \"" + job.order.disk + "\"");
        auto end = deploy(job);
        if (!end) {
            return exit_interrupted;
        }
        if (end->state == job_state::done) {
            run_programs(offer, *end);
        }
        end->taken = std::chrono::floor<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
        report_end(*end);
        if (end->state != job_state::done) {
            m_console.print_error(printable("job " + job.id + " " + to_string(end->state) + ": " + end->reason));
            if (!m_options.once) {
                return exit_ok;
            }
            return end->state == job_state::refused ? exit_refused : exit_failed;
        }
        print(offer.machine + ": job " + job.id + ": done, " + job.order.image + " is on " + end->device);
        return finish(m_options.after.value_or(job.order.after));
    }

    std::optional<job_report> deploy(offered_job const& job) {
        auto const show = [this, &job](image_status const& status) {
            m_console.show(status);
            report_progress({.id = job.id,
                             .phase = to_string(status.state),
                             .percent = static_cast<int>(status.fraction * 100),
                             .device = status.device,
                             .disk_class = status.detected});
        };
        auto const on_device = [this](device_overview const& device, storage_class cls, image_torrent const& torrent) {
            m_console.print(overwrite_text(
                device, cls, torrent.packed ? packed_text(*torrent.packed) : "  " + image_text(torrent) + "\n"));
        };
        job_run running(m_settings, m_server, {[this](auto const& line) { print(line); }, on_device, show});
        auto end = running.run(job);
        m_console.clear();
        return end;
    }

    /// Runs the programs of --after-deploy; a failure becomes the job's.
    void run_programs(job_offer const& offer, job_report& end) {
        if (m_options.hooks.empty()) {
            return;
        }
        reread_partitions(end.device);
        auto const overview = look_over_device(end.device);
        auto const hooks = list_hooks(m_options.hooks);
        if (!overview || !hooks) {
            end.state = job_state::failed;
            end.reason = overview ? hooks.error().message : overview.error().message;
            return;
        }
        auto const environment = hook_environment(
            {end.device, offer.machine, offer.job->order.image, offer.job->id, m_server.url()}, *overview);
        auto const limit = std::chrono::ceil<std::chrono::seconds>(m_options.hook_limit);
        report_repeater reports(
            [this](job_report const& said) { // one that is lost is followed by the next
                static_cast<void>(m_server.ask(machine_report_path, to_query(said), progress_every));
            },
            program_report_every);
        auto const ran = run_hooks(*hooks, environment, limit, [&](std::string const& name) {
            print("running " + name);
            reports.set({.id = end.id, .phase = name, .device = end.device, .disk_class = end.disk_class});
        });
        if (!ran) {
            end.state = job_state::failed;
            end.reason = "the image is on the disk, but a program of --after-deploy failed: " + ran.error().message;
        }
    }

    exit_code finish(after_deploy action) {
        if (action == after_deploy::wait) {
            return exit_ok;
        }
        print(action == after_deploy::reboot ? "rebooting" : "powering off");
        if (auto const ended = end_machine(action, m_options.power); !ended) {
            m_console.print_error(printable(ended.error().message));
        }
        return exit_ok; // the machine goes down; until then, the server has no further job for it
    }

    agent_options const m_options;
    agent_settings const m_settings;
    server_link const m_server;
    console m_console;
    std::random_device m_random;
    std::string m_last_note;
    std::chrono::steady_clock::time_point m_next_progress{};
    std::atomic<bool> m_reporting = false; ///< set by this thread, cleared by the reporter's
    worker_pool m_reporter{"report", 1};   ///< ends first: it uses the members above
};

} // namespace

int agent_command(std::vector<std::string> const& arguments) {
    auto options = parse_agent_options(arguments);
    if (!options) {
        return fail_usage("agent", options.error().message);
    }
    if (options->help) {
        return show_help(agent_help());
    }
    auto in_force = settings_from(options->config);
    if (!in_force) {
        return exit_usage;
    }
    apply_network(*options, in_force->network);
    auto const secret = load_secret(in_force->network);
    if (!secret) {
        return fail("agent", exit_usage, secret.error().message);
    }
    agent_settings common;
    common.state_folder = state_folder_of(*options, *in_force);
    common.in_force = std::move(*in_force);
    common.seeding.idle = options->seed_until_idle;
    if (!options->hooks.empty()) {
        auto const checked = check_can_run_hooks();
        auto const listed = list_hooks(options->hooks);
        if (!checked || !listed) {
            return fail("agent", exit_usage,
                        "--after-deploy " + (checked ? listed.error().message : checked.error().message));
        }
    }
    try {
        return agent_run(std::move(*options), std::move(common), *secret).run();
    } catch (std::exception const& e) {
        return fail("agent", exit_failed, std::string("internal failure: ") + e.what());
    }
}

} // namespace seedbed
