// What app reports about itself to "seedbed status", Prometheus and the service manager.

#include <algorithm>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/wall_clock.hpp"
#include "daemon/service/app.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

std::int64_t blocks(std::int64_t count) {
    return count * block_size;
}

} // namespace

std::string app::find_hang(clock::duration limit) const {
    if (!m_stopping && clock::now() - m_node.swarm().last_pong() > limit) {
        return fmt::format("the network thread has not answered for {} s",
                           std::chrono::duration_cast<std::chrono::seconds>(limit).count());
    }
    return find_hanging_device(limit);
}

std::string app::find_hanging_device(clock::duration limit) const {
    auto const now = clock::now();
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
    for (auto const& [name, job] : m_images) {
        auto const progress = job->queue_progress();
        if (progress && now - progress->stalled_since > limit) {
            return fmt::format("{}: no operation on {} has completed for {} s", name, job->settings().device, seconds);
        }
    }
    // Hash workers wait for devices: allow them longer, so that the hung device is named.
    if (now - m_node.storage().hash_workers().current_progress().stalled_since > limit + limit / 2) {
        return fmt::format("the hash workers have made no progress for {} s", seconds);
    }
    return {};
}

app::clock::duration app::hang_patience() const {
    // Not longer than the watchdog's timeout: the reason must be logged before the service is restarted.
    return std::min<clock::duration>(device_patience, m_notify.watchdog_timeout().value_or(device_patience));
}

void app::look_for_hangs() {
    std::vector<hang_log::device> devices;
    for (auto const& [name, job] : m_images) {
        if (auto const progress = job->queue_progress()) {
            devices.push_back({name, job->settings().device, progress->stalled_since});
        }
    }
    m_hangs.look(devices, clock::now(), hang_patience());
    for (auto const& [name, job] : m_images) {
        if (m_hangs.hangs(name)) {
            job->on_hang(); // the other images and the daemon's readiness no longer wait for it
        }
    }
    report_ready();
}

status_snapshot app::snapshot() const {
    status_snapshot snapshot;
    snapshot.version = program_version();
    snapshot.taken = wall_clock_now();
    snapshot.started = m_started_at;
    snapshot.uptime_seconds = std::chrono::duration<double>(clock::now() - m_started).count();
    snapshot.stopping = m_stopping;
    snapshot.hang = find_hanging_device(hang_patience());
    for (auto const& [name, job] : m_images) {
        snapshot.images.push_back({job->status(), nullptr, m_fleets.status(name)});
    }
    auto const cache = m_node.storage().cache().stats();
    snapshot.cache = {cache.hits,          cache.misses,        cache.locks,          cache.contended,
                      blocks(cache.clean), blocks(cache.dirty), blocks(cache.filling)};
    snapshot.pool = {blocks(static_cast<std::int64_t>(m_node.storage().pool().capacity())),
                     blocks(static_cast<std::int64_t>(m_node.storage().pool().in_use()))};
    return snapshot;
}

status_collector::sources app::status_sources() {
    status_collector::sources from;
    from.take = [this] { return snapshot(); };
    from.ask_progress = [this](std::function<void()> const& told) {
        if (m_session_ended) {
            told();
            return;
        }
        m_node.swarm().request_progress();
        m_node.swarm().ping(told);
    };
    from.ask_peers = [this](worker_pool& worker, status_collector::peers_receiver const& each) {
        for (auto const& [name, job] : m_images) {
            job->request_peers(worker,
                               [name = name, each](std::vector<peer_status> const& peers) { each(name, peers); });
        }
    };
    return from;
}

} // namespace seedbed
