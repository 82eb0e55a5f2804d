#include "daemon/swarm/shard_extension.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/peer_request.hpp>

#include "daemon/swarm/handshake_port.hpp"
#include "daemon/swarm/network_shards.hpp"
#include "daemon/swarm/refusing_shards.hpp"

namespace seedbed {

namespace lt = libtorrent;

// Threads: everything here is confined to libtorrent's network thread, except shard_placement.

namespace {

constexpr char const* shard_key = "sb_shard";
/// How many ticks, of one second each, a refused peer has to exchange extension handshakes before it is disconnected.
constexpr int most_ticks = 5;

/// The closest of libtorrent's errors: this peer belongs to another port.
lt::error_code refused() {
    return lt::errors::banned_by_port_filter;
}

// --- at the seed

struct gate_state {
    std::shared_ptr<shard_placement> places;
    int shard;
    endpoint_handler on_refused;
};

class gated_peer final : public lt::peer_plugin {
public:
    gated_peer(std::shared_ptr<gate_state const> state, lt::peer_connection_handle peer)
        : m_state(std::move(state))
        , m_peer(std::move(peer)) {
        if (!m_peer.is_outgoing()) {
            knock();
        }
    }
    gated_peer(gated_peer const&) = delete;
    gated_peer& operator=(gated_peer const&) = delete;
    ~gated_peer() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return shard_key; }

    /// Called for outgoing connections only.
    void on_connected() override {
        knock();
        if (m_admitted) {
            return;
        }
        // The error for a connection to oneself bans the endpoint. If this is the peer's home, it may be retried.
        auto const elsewhere = m_state->places->place_of(m_remote) != m_state->shard;
        m_peer.disconnect(elsewhere ? lt::error_code(lt::errors::self_connection) : refused(),
                          lt::operation_t::bittorrent, lt::peer_connection_interface::failure);
    }

    bool on_handshake(lt::span<char const> reserved) override {
        constexpr std::ptrdiff_t byte_of_extensions = 5;
        constexpr unsigned bit_of_extensions = 0x10;
        auto const extends = (static_cast<unsigned char>(reserved[byte_of_extensions]) & bit_of_extensions) != 0;
        if (!m_admitted && !extends) {
            refuse();
        }
        return true;
    }

    void add_handshake(lt::entry& handshake) override {
        if (!m_admitted) {
            auto const first = m_peer.local_endpoint().port() - m_state->shard;
            handshake[shard_key] =
                port_of_shard(static_cast<std::uint16_t>(first), m_state->places->place_of(m_remote));
        }
    }

    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        if (!m_admitted) {
            auto const port = handshake_port(handshake, "p"); // BEP 10
            if (!std::exchange(m_heard, true) && port != 0) {
                m_state->on_refused({m_remote, port});
            }
            refuse_when_told();
        }
        return true;
    }

    /// Nothing is sent to a refused peer that would delay the end of the connection.
    bool on_request(lt::peer_request const&) override { return !m_admitted; }

    void tick() override {
        if (m_admitted || m_peer.is_outgoing()) {
            return;
        }
        if (++m_ticks > most_ticks) {
            refuse();
        } else if (m_heard) {
            refuse_when_told();
        }
    }

    void on_disconnect(lt::error_code const&) override { leave(); }

private:
    void knock() {
        m_remote = m_peer.remote().address();
        m_admitted = m_state->places->admit(m_state->shard, m_remote, shard_placement::clock::now());
    }
    void leave() {
        if (std::exchange(m_admitted, false)) {
            m_state->places->leave(m_remote);
        }
    }
    /// Refuses once this side's handshake has been sent, which may take a while if the rate is limited.
    void refuse_when_told() {
        lt::peer_info info;
        m_peer.get_peer_info(info);
        if (info.used_send_buffer == 0) {
            refuse();
        }
    }
    void refuse() { m_peer.disconnect(refused(), lt::operation_t::bittorrent); }

    std::shared_ptr<gate_state const> m_state;
    lt::peer_connection_handle m_peer;
    boost::asio::ip::address m_remote;
    bool m_admitted = false;
    bool m_heard = false; ///< the peer's extension handshake has arrived
    int m_ticks = 0;
};

class gate final : public lt::torrent_plugin {
public:
    explicit gate(std::shared_ptr<gate_state const> state)
        : m_state(std::move(state)) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<gated_peer>(m_state, peer);
    }

private:
    std::shared_ptr<gate_state const> m_state;
};

// --- at the target

/// The state of one torrent.
struct guest_state {
    endpoint_handler on_referred;
    refusing_shards refusers;
    std::map<lt::address, int> talking; ///< connections with shards that admit this peer
};

class guest_peer final : public lt::peer_plugin {
public:
    guest_peer(std::shared_ptr<guest_state> state, lt::peer_connection_handle peer)
        : m_state(std::move(state))
        , m_peer(std::move(peer)) {}
    guest_peer(guest_peer const&) = delete;
    guest_peer& operator=(guest_peer const&) = delete;
    ~guest_peer() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return shard_key; }

    /// Called for outgoing connections only.
    void on_connected() override {
        auto const& to = m_peer.remote();
        if (m_state->refusers.contains(to) && m_state->talking.contains(to.address())) {
            m_peer.disconnect(refused(), lt::operation_t::bittorrent, lt::peer_connection_interface::failure);
        }
    }

    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        auto const& to = m_peer.remote();
        if (auto const port = handshake_port(handshake, shard_key); port != 0) {
            // The other side ends the connection once it knows where this side listens.
            if (m_peer.is_outgoing()) {
                m_state->refusers.add(to);
            }
            if (!std::exchange(m_referred, true)) {
                m_state->on_referred({to.address(), port});
            }
        } else if (!m_talking) {
            m_state->refusers.remove(to);
            m_talking = to.address();
            ++m_state->talking[*m_talking];
        }
        return true;
    }

    void on_disconnect(lt::error_code const&) override { leave(); }

private:
    void leave() {
        if (!m_talking) {
            return;
        }
        auto const at = m_state->talking.find(*std::exchange(m_talking, std::nullopt));
        if (--at->second == 0) {
            m_state->talking.erase(at);
        }
    }

    std::shared_ptr<guest_state> m_state;
    lt::peer_connection_handle m_peer;
    bool m_referred = false; ///< on_referred has been called
    std::optional<lt::address> m_talking;
};

class guest final : public lt::torrent_plugin {
public:
    explicit guest(endpoint_handler on_referred)
        : m_state(std::make_shared<guest_state>()) {
        m_state->on_referred = std::move(on_referred);
    }

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<guest_peer>(m_state, peer);
    }

private:
    std::shared_ptr<guest_state> m_state;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_shard_gate(std::shared_ptr<shard_placement> places, int shard,
                                                    endpoint_handler on_refused) {
    return std::make_shared<gate>(
        std::make_shared<gate_state const>(gate_state{std::move(places), shard, std::move(on_refused)}));
}

std::shared_ptr<lt::torrent_plugin> make_shard_guest(endpoint_handler on_referred) {
    return std::make_shared<guest>(std::move(on_referred));
}

} // namespace seedbed
