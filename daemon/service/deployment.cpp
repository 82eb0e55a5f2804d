#include "daemon/service/deployment.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/service/termination.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto tick = 100ms;

} // namespace

exit_code exit_code_of(failure_kind kind) noexcept {
    switch (kind) {
    case failure_kind::torrent:
        return exit_bad_torrent;
    case failure_kind::guard:
        return exit_refused;
    case failure_kind::read:
    case failure_kind::write:
    case failure_kind::flush:
        return exit_device_failed;
    case failure_kind::verify:
        return exit_not_verified;
    case failure_kind::damage:
        return exit_damaged_source;
    case failure_kind::none:
    case failure_kind::internal:
    case failure_kind::download:
    case failure_kind::content:
        break;
    }
    return exit_failed;
}

deployment::deployment(deployment_options options, std::function<void(image_status const&)> show)
    : m_options(std::move(options))
    , m_show(std::move(show))
    , m_node(m_options.in_force, m_options.state_folder, [] {})
    , m_timer(m_node.main()) {}

deployment::~deployment() = default;

deployment_report deployment::run() {
    add_termination_signals(m_node.signals());
    m_node.wait_for_signals([this](int signal) { on_signal(signal); });
    m_node.swarm().when_listening([this](result<void> const& outcome) { on_listening(outcome); });
    auto services = m_node.services([this] { on_change(); });
    services.trust_proof = false; // a receipt covers only what was read this time
    services.plan = m_options.plan;
    services.job = m_options.job;
    services.record = m_record;
    services.make_receipt = [this](ended_deployment const& ended) { return describe(ended); };
    m_job = std::make_shared<image_runner>(m_options.image, services);
    m_job->start();
    arm_timer();
    m_node.run();
    m_report.peers = m_record->peers(); // all connections have ended
    return m_report;
}

// --- signals and timers

void deployment::on_signal(int signal) {
    if (m_ending) {
        log_warning({}, "still stopping: flushing the written data");
        return;
    }
    auto const done = m_job->state() == image_state::seeding;
    log_info({}, fmt::format("stopping on {}{}", ::strsignal(signal), done ? "" : ": flushing the written data"));
    end(done ? exit_ok : exit_interrupted);
}

void deployment::on_listening(result<void> const& outcome) {
    if (!outcome && !m_ending) {
        log_error({}, outcome.error().message);
        end(exit_failed);
    }
}

void deployment::arm_timer() {
    m_timer.expires_after(tick);
    m_timer.async_wait([this](boost::system::error_code const& ec) {
        if (!ec && !m_ending) {
            on_timer();
        }
    });
}

void deployment::on_timer() {
    m_node.swarm().request_progress();
    look_for_hang();
    take_status();
    auto const& status = m_report.image;
    if (status.state == image_state::downloading) {
        look_at_peers();
        check_timeout(status);
        look_for_pieces(status);
    }
    if (m_seed_until && m_seed_until->reached(clock::now(), status.uploaded, status.total_bytes)) {
        end(exit_ok);
    }
    if (!m_ending) {
        arm_timer();
    }
}

void deployment::look_at_peers() {
    if (std::exchange(m_peers_asked, true)) {
        return;
    }
    m_job->request_peers([this](std::vector<peer_status> const& peers) {
        m_peers_asked = false;
        if (!peers.empty()) {
            m_peers_seen = clock::now();
            m_connected = peers;
        }
    });
}

void deployment::look_for_hang() {
    if (auto const progress = m_job->queue_progress()) {
        m_hangs.look({{m_options.image.name, m_options.image.device, progress->stalled_since}}, clock::now());
    }
}

void deployment::check_timeout(image_status const& status) {
    auto const now = clock::now();
    if (m_options.timeout && now - *m_download_began >= *m_options.timeout) {
        log_error({}, fmt::format("the download did not finish within {} s: {} of {} bytes are missing, {} peers are "
                                  "connected",
                                  std::chrono::duration<double>(*m_options.timeout).count(), status.bytes_left,
                                  status.total_bytes, status.peers));
        end(exit_timed_out);
    } else if (!m_peers_missed && now - m_peers_seen >= m_options.peer_patience) {
        m_peers_missed = true;
        log_warning({}, fmt::format("no peer for {} s: is the server up, and does multicast reach it? If not, name it "
                                    "with --peer ADDRESS:PORT or a tracker with --tracker URL",
                                    std::chrono::duration<double>(m_options.peer_patience).count()));
    }
}

void deployment::look_for_pieces(image_status const& status) {
    auto const now = clock::now();
    if (std::exchange(m_received, status.downloaded) != status.downloaded) {
        m_received_last = now;
        m_pieces_missed = false;
    }
    if (status.peers == 0 || status.obtainable || m_pieces_missed || now - m_received_last < m_options.peer_patience) {
        return;
    }
    m_pieces_missed = true;
    log_warning({}, fmt::format("nothing received for {} s: {} {} connected, but without some of the missing pieces; "
                                "waiting for a peer that has them",
                                std::chrono::duration<double>(m_options.peer_patience).count(),
                                format_count(static_cast<std::size_t>(status.peers), "peer"),
                                status.peers == 1 ? "is" : "are"));
}

// --- the image

void deployment::take_status() {
    auto status = m_job->status();
    if (status.total_bytes == 0 && m_report.image.total_bytes != 0) {
        m_report.image.state = status.state; // the image is released: keep the earlier values
    } else {
        m_report.image = std::move(status);
    }
    m_show(m_report.image);
}

std::string deployment::describe(ended_deployment const& ended) const {
    if (!m_options.describe) {
        return {};
    }
    auto report = m_report;
    report.code = ended.image.failed_at == failure_kind::none ? exit_ok : exit_code_of(ended.image.failed_at);
    report.image = ended.image;
    report.seconds = ended.seconds;
    report.peers = m_record->peers(); // connections that have ended
    for (auto const& peer : m_connected) {
        auto& known = report.peers.try_emplace(peer.id, peer).first->second;
        known = known.downloaded < peer.downloaded ? peer : known;
    }
    std::erase_if(report.peers, [](auto const& each) { return each.second.downloaded + each.second.uploaded == 0; });
    return m_options.describe(report);
}

void deployment::on_change() {
    take_status();
    auto const& status = m_report.image;
    switch (status.state) {
    case image_state::downloading:
        m_report.to_fetch = status.bytes_left;
        m_download_began = clock::now();
        m_peers_seen = clock::now();
        m_received_last = clock::now();
        break;
    case image_state::flushing:
        m_report.to_fetch = m_report.to_fetch.value_or(0); // no check was needed: nothing was missing
        break;
    case image_state::seeding:
        m_seed_until.emplace(m_options.seeding, clock::now(), status.uploaded);
        break;
    case image_state::failed:
        // Posted, because the image is still failing.
        boost::asio::post(m_node.main(), [this, code = exit_code_of(status.failed_at)] { end(code); });
        break;
    default:
        break;
    }
}

// --- the end

void deployment::end(exit_code code) {
    if (std::exchange(m_ending, true)) {
        return;
    }
    m_report.code = code;
    m_timer.cancel();
    m_node.begin_stop();
    m_job->close([this] {
        // Posted, because the image is still executing this callback.
        boost::asio::post(m_node.main(), [this] { on_closed(); });
    });
}

void deployment::on_closed() {
    auto const last = m_job->status();
    m_report.image.device_read = std::max(last.device_read, m_report.image.device_read);
    m_report.image.device_written = std::max(last.device_written, m_report.image.device_written);
    m_report.image.fetched = std::max(last.fetched, m_report.image.fetched);
    m_report.image.failure = last.failure;
    m_report.image.failed_at = last.failed_at;
    m_report.image.guard = last.guard;
    if (last.failed_at != failure_kind::none && m_report.code == exit_interrupted) {
        m_report.code = exit_code_of(last.failed_at);
    }
    m_report.seconds = m_job->seconds();
    m_job.reset();
    m_node.shut_down([] {});
}

} // namespace seedbed
