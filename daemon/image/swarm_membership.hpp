#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "config/settings.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/swarm/image_swarm.hpp"

namespace seedbed {

/// Whether an image is in the swarm:
///
///     outside -> inside -> leaving -> outside
///                inside -> rejoining -> outside, and the owner joins again
///                          rejoining -> leaving
///
/// Threads: confined to the main thread.
class swarm_membership {
public:
    enum class phase : std::uint8_t { outside, inside, leaving, rejoining };

    explicit swarm_membership(image_swarm& swarm)
        : m_swarm(swarm) {}

    /// \param listener must live until its on_removed().
    void join(torrent_spec const& spec, torrent_listener& listener) {
        m_id = m_swarm.add(spec, listener);
        m_phase = phase::inside;
    }
    /// \return false if there is nothing to wait for; otherwise on_removed() follows.
    [[nodiscard]] bool leave() {
        if (m_phase == phase::inside) {
            m_swarm.remove(m_id);
        }
        m_phase = m_phase == phase::outside ? phase::outside : phase::leaving;
        return m_phase == phase::leaving;
    }
    /// Leaves in order to join again. Only while the image is inside.
    void begin_to_rejoin() {
        m_swarm.remove(m_id);
        m_phase = phase::rejoining;
    }
    /// The session has removed the torrent. \return the phase that ended.
    phase on_removed() { return std::exchange(m_phase, phase::outside); }

    [[nodiscard]] bool inside() const noexcept { return m_phase == phase::inside; }

    /// These do nothing unless the image is inside.
    void update(image_settings const& settings) {
        if (inside()) {
            m_swarm.update(m_id, settings.peers, settings.trackers);
            m_swarm.set_expected(m_id, settings.fleet.expect_hosts);
            m_swarm.set_upload_limit(m_id, settings.upload_limit);
        }
    }
    void set_super_seeding(bool on) {
        if (inside()) {
            m_swarm.set_super_seeding(m_id, on);
        }
    }
    void lift_ban(boost::asio::ip::tcp::endpoint const& peer) {
        if (inside()) {
            m_swarm.lift_ban(m_id, peer);
        }
    }
    void request_pieces() {
        if (inside()) {
            m_swarm.request_pieces(m_id);
        }
    }
    /// \return whether \p call will be called, on \p worker.
    [[nodiscard]] bool request_peers(worker_pool& worker, std::function<void(std::vector<peer_status>)> call) const {
        if (inside()) {
            m_swarm.request_peers(m_id, worker, std::move(call));
        }
        return inside();
    }

private:
    image_swarm& m_swarm;
    phase m_phase = phase::outside;
    image_swarm::id m_id = 0; ///< valid unless the image is outside
};

} // namespace seedbed
