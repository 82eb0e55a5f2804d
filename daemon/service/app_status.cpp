// What app tells of itself: to "seedbed status", Prometheus and whoever watches over it.

#include <algorithm>
#include <utility>

#include "daemon/service/app.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

/// A device that ends nothing for so long is said to hang. A disk that tries to read a bad sector takes 7 to 30 s.
constexpr std::chrono::seconds device_patience{30};

std::int64_t blocks(std::int64_t count) {
    return count * block_size;
}

} // namespace

status_snapshot app::snapshot() const {
    status_snapshot snapshot;
    snapshot.version = program_version();
    snapshot.taken = std::chrono::system_clock::now();
    snapshot.started = m_started_at;
    snapshot.uptime_seconds = std::chrono::duration<double>(clock::now() - m_started).count();
    snapshot.stopping = m_stopping;
    // What the watchdog waits for no longer is told as long as that.
    clock::duration const watchdog = m_notify.watchdog_timeout().value_or(device_patience);
    snapshot.hang = what_device_hangs(std::min<clock::duration>(device_patience, watchdog));
    snapshot.images.reserve(m_images.size());
    for (auto const& [name, job] : m_images) {
        snapshot.images.push_back({job->status(), nullptr, m_fleets.status(name)});
    }
    auto const cache = m_backend->cache().stats();
    snapshot.cache = {cache.hits,          cache.misses,        cache.locks,          cache.contended,
                      blocks(cache.clean), blocks(cache.dirty), blocks(cache.filling)};
    snapshot.pool = {blocks(static_cast<std::int64_t>(m_backend->pool().capacity())),
                     blocks(static_cast<std::int64_t>(m_backend->pool().in_use()))};
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
        m_swarm.request_progress();
        m_swarm.ping(told);
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
