#include "daemon/service/app.hpp"
#include "daemon/service/receipt.hpp"

#include <csignal>
#include <cstddef>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "daemon/history/history_document.hpp"
#include "daemon/image/status_line.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/machine/ended_records.hpp"
#include "daemon/swarm/session_settings.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto progress_interval = 1s;
constexpr auto summary_interval = 60s;

/// Whether an image in this state is in the swarm, and so may have peers.
bool is_in_swarm(image_state state) {
    return state != image_state::opening && state != image_state::failed && state != image_state::closing &&
           state != image_state::closed;
}

} // namespace

app::app(std::filesystem::path config_file, bool required, settings const& initial)
    : m_config_file(std::move(config_file))
    , m_config_required(required)
    , m_node(initial, state_folder(initial.resume.folder),
             [this] {
                 arm_progress_timer();
                 m_fleets.wake();
             })
    , m_fleet_store(m_node.main(), m_node.setup(), state_folder(initial.resume.folder))
    , m_fleets(
          m_node.main(), [this](auto const& image, auto handler) { request_peers(image, std::move(handler)); },
          &m_fleet_store)
    , m_history(m_node.main())
    , m_machines(
          m_node.main(), m_node.setup(), [this](auto const& image) { return why_unavailable(image); },
          [this](deployment_record record) {
              record.authenticated = m_node.secret().value_or(nullptr) != nullptr;
              m_history.add(std::move(record));
          })
    , m_tracker(m_node.main(), own_peer_id_prefix(),
                {[this](auto const& said, auto patience) { m_fleets.on_announce(said, patience); },
                 [this](auto const& hash, auto const& report) { return on_report(hash, report); },
                 [this](auto const& request, auto const& respond) { m_machines.answer_agent(request, respond); }})
    , m_images(m_node.main(), [this] { end_session_when_empty(); })
    , m_collector(m_node.main(), status_sources())
    , m_control(
          m_node.main(), [this](auto patience, auto call) { m_collector.collect(patience, std::move(call)); },
          [this] { return m_machines.rows(); },
          [this](auto const& request, auto const& respond) { return answer_operator(request, respond); },
          [this](auto receive) { request_reload(std::move(receive)); })
    , m_web(m_node.main(), [this](auto patience, auto call) { m_collector.collect(patience, std::move(call)); },
            {[this] { return m_machines.rows(); },
             [this](auto receive) { m_history.find(history_filter{}, std::move(receive)); },
             [this] { return std::to_string(m_history.changes()); }})
    , m_watchdog(
          m_node.main(), m_notify, [this](auto limit) { return find_hang(limit); },
          [this] {
              if (!m_stopping) {
                  m_node.swarm().ping();
              }
          })
    , m_progress_timer(m_node.main()) {
    for (auto const number : {SIGTERM, SIGINT, SIGHUP}) {
        m_node.signals().add(number);
    }
}

app::~app() = default;

exit_code app::run() {
    start();
    m_node.run();
    return m_exit;
}

// --- starting

void app::start() {
    auto const& wanted = m_node.in_force();
    log_info({},
             fmt::format("Seedbed {}: {} image{}, {} of memory for blocks{}", program_version(), wanted.images.size(),
                         wanted.images.size() == 1 ? "" : "s", format_byte_size(wanted.memory.pool),
                         wanted.network.shards > 1 ? fmt::format(", {} network shards", wanted.network.shards) : ""));
    m_node.wait_for_signals([this](int signal) { on_signal(signal); });
    if (auto const& secret = m_node.secret(); !secret) {
        on_listening(tl::unexpected(secret.error()));
        return;
    }
    m_tracker.set_secret(*m_node.secret());
    m_history.apply(state_folder(wanted.resume.folder), static_cast<std::size_t>(wanted.history.limit));
    m_machines.apply(wanted, state_folder(wanted.resume.folder));
    m_tracker.set_boot_folder(wanted.boot.files);
    m_control.apply(wanted.control, wanted.metrics, wanted.network.allow);
    m_web.apply(wanted.web, wanted.network.allow);
    m_node.swarm().when_listening([this](result<void> const& outcome) { on_listening(outcome); });
    if (auto const opened = m_tracker.apply(wanted.tracker, wanted.network); !opened) {
        on_listening(opened);
        return;
    }
    for (auto const& image : wanted.images) {
        open_image(image);
    }
    m_watchdog.start();
}

void app::on_listening(result<void> const& outcome) {
    if (!outcome) {
        log_error({}, outcome.error().message);
        m_exit = exit_failed;
        stop();
        return;
    }
    m_listening = true;
    report_ready();
}

void app::open_image(image_settings const& image) {
    auto services = m_node.services([this] { on_change(); });
    services.report_port = [this] { return m_tracker.port(); };
    services.serve_torrents = true;
    if (image.mode == image_mode::deploy) {
        services.record = std::make_shared<peer_record>();
        services.make_receipt = [image, peers = services.record](ended_deployment const& ended) {
            return short_receipt(receipt_of(image, ended, *peers, wall_clock_now()));
        };
    }
    m_images.open(image, services);
}

void app::on_change() {
    m_notify.status(m_images.status_line());
    sync_tracker();
    arm_progress_timer();
    report_ready();
}

void app::report_ready() {
    if (m_ready || m_stopping || !m_listening || m_images.any_opening()) {
        return;
    }
    m_ready = true;
    m_notify.ready(m_images.status_line());
    log_info({}, "ready");
    answer(m_reload_applied, {});
}

void app::sync_tracker() {
    std::vector<tracker::image> tracked;
    std::vector<fleet_watch::image> followed;
    std::vector<catalog_image> listed;
    for (auto const& [name, job] : m_images) {
        auto const in_swarm = is_in_swarm(job->state());
        auto const hashes = job->announced_hashes();
        auto const& wanted = job->settings();
        if (in_swarm) {
            for (auto const& hash : hashes) {
                tracked.push_back({hash, job->state() == image_state::seeding});
            }
        }
        if (auto entry = job->in_catalog()) {
            listed.push_back(std::move(*entry));
        }
        if (wanted.has_fleet()) {
            followed.push_back({name, hashes, job->status().total_bytes, wanted.fleet, m_tracker.port() != 0,
                                m_node.secret().value_or(nullptr) != nullptr, in_swarm});
        }
    }
    m_tracker.set_images(tracked);
    m_tracker.set_catalog(std::move(listed));
    m_fleets.set_images(followed, static_cast<std::size_t>(m_node.in_force().tracker.peers_per_image));
}

void app::request_peers(std::string const& image, fleet_watch::peers_handler handler) {
    if (auto* const job = m_images.find(image)) {
        job->request_peers(std::move(handler));
    }
}

bool app::on_report(info_hash const& hash, host_report const& report) {
    auto const* const image = m_fleets.on_report(hash, report);
    if (image == nullptr) {
        return false;
    }
    auto const has_ended = report.outcome != host_report::outcome_kind::started;
    // The machine reports the end of its job, too.
    if (has_ended && !report.is_job && (report.authenticated || m_strangers_records.take(clock::now()))) {
        m_history.add(record_of(report, image->name, hash, wall_clock_now()));
    }
    return true;
}

bool app::answer_operator(http_request const& request, http_respond const& respond) {
    if (request.target.substr(0, request.target.find('?')) != "/history") {
        return m_machines.answer_operator(request, respond);
    }
    auto const query = query_string::parse(request.target);
    auto const filter =
        query ? read_history_filter(*query) : result<history_filter>(tl::unexpected(error{"invalid percent-encoding"}));
    if (!filter) {
        respond({400, "text/plain; charset=utf-8", filter.error().message + "\n"});
        return true;
    }
    m_history.find(*filter, [respond](result<std::string> const& document) {
        respond(document ? http_response{200, "application/json", *document}
                         : http_response{503, "text/plain; charset=utf-8", document.error().message + "\n"});
    });
    return true;
}

std::optional<std::string> app::why_unavailable(std::string const& image) {
    auto* const job = m_images.find(image);
    if (job != nullptr && job->state() == image_state::seeding) {
        return std::nullopt;
    }
    return "the image " + image + " is not being served";
}

void app::on_signal(int signal) {
    if (signal == SIGHUP) {
        reload();
        return;
    }
    if (m_stopping) {
        log_warning({}, "still stopping: flushing the written data");
        return;
    }
    log_info({}, fmt::format("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT"));
    stop();
}

// --- stopping

void app::stop() {
    m_stopping = true;
    for (auto* const waiting : {&m_reload_requested, &m_reload_started, &m_reload_applied}) {
        answer(*waiting, {{"the daemon is stopping"}});
    }
    m_notify.stopping("stopping: writing and flushing the blocks in memory");
    m_progress_timer.cancel();
    m_fleets.stop();
    m_node.begin_stop();
    m_images.close_all();
    end_session_when_empty();
}

void app::end_session_when_empty() {
    if (!m_stopping || !m_images.empty() || std::exchange(m_session_ended, true)) {
        return;
    }
    m_node.shut_down([this] {
        m_tracker.close(); // kept open until now for this daemon's own announces
        m_watchdog.stop();
        m_control.close();
        m_web.close();
        m_collector.close();
        log_info({}, "stopped");
    });
}

// --- progress

void app::arm_progress_timer() {
    if (m_progress_armed || m_stopping || !(m_images.any_moving() || m_images.any_pending())) {
        return;
    }
    m_progress_armed = true;
    m_progress_timer.expires_after(progress_interval);
    m_progress_timer.async_wait([this](boost::system::error_code const& ec) {
        m_progress_armed = false;
        if (!ec) {
            on_progress_timer();
        }
    });
}

void app::on_progress_timer() {
    m_node.swarm().request_progress();
    look_for_hangs();
    m_notify.status(m_images.status_line());
    if (clock::now() - m_last_summary >= summary_interval) {
        m_last_summary = clock::now();
        for (auto const& [name, job] : m_images) {
            job->log_summary();
        }
    }
    arm_progress_timer();
}

} // namespace seedbed
