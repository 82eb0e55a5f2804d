#include "daemon/swarm/read_once_extension.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/bitfield.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/span.hpp>

#include "daemon/swarm/offer_messages.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

using clock = piece_offers::clock;

constexpr char msg_unchoke = 1; // BEP 3
constexpr char msg_have = 4;    // BEP 3

class read_once_peer;

/// All connections of a torrent.
///
/// Threads: this and the classes below are confined to libtorrent's network thread.
class connections {
public:
    connections(piece_offers::image_shape shape, std::shared_ptr<std::atomic<bool> const> enabled)
        : m_enabled(std::move(enabled))
        , m_offers(shape, [this](piece_offers::peer to, auto changes) { send(to, changes); }) {
        apply_enabled();
    }

    [[nodiscard]] piece_offers& offers() noexcept { return m_offers; }
    [[nodiscard]] piece_offers::peer join(read_once_peer& connection) {
        auto const number = m_offers.joined();
        m_connections.resize(std::max(m_connections.size(), number + 1));
        m_connections[number] = &connection;
        return number;
    }
    void leave(piece_offers::peer number) {
        m_connections[number] = nullptr;
        m_offers.left(number, clock::now());
    }
    void tick() {
        apply_enabled();
        m_offers.second_passed(clock::now());
    }

private:
    void apply_enabled() { m_offers.set_enabled(m_enabled->load(std::memory_order_relaxed), clock::now()); }
    void send(piece_offers::peer to, std::span<piece_offers::change const> changes);

    std::shared_ptr<std::atomic<bool> const> m_enabled;
    piece_offers m_offers;
    std::vector<read_once_peer*> m_connections; ///< by number; null: ended
};

class read_once_peer final : public lt::peer_plugin {
public:
    read_once_peer(std::shared_ptr<connections> all, lt::peer_connection_handle peer)
        : m_all(std::move(all))
        , m_peer(std::move(peer))
        , m_number(m_all->join(*this)) {}
    read_once_peer(read_once_peer const&) = delete;
    read_once_peer& operator=(read_once_peer const&) = delete;
    ~read_once_peer() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return "sb_offers"; }

    bool on_handshake(lt::span<char const> reserved) override {
        m_has_fast = (reserved[7] & 0x04) != 0;
        return true;
    }
    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        if (m_messages.take(handshake) && m_number) {
            m_all->offers().understands(*m_number, clock::now());
        }
        return true;
    }
    bool on_interested() override { return set_interested(true); }
    bool on_not_interested() override { return set_interested(false); }
    void sent_choke() override { set_choked(true); }
    void sent_unchoke() override { set_choked(false); }
    bool on_bitfield(lt::bitfield const& pieces) override {
        if (m_number && pieces.all_set()) {
            m_all->offers().is_seed(*m_number, clock::now());
        } else if (m_number) {
            for (int piece = 0; piece < pieces.size(); ++piece) {
                if (pieces.get_bit(piece)) {
                    m_all->offers().has(*m_number, piece, clock::now());
                }
            }
        }
        return false;
    }
    bool on_have_all() override {
        if (m_number) {
            m_all->offers().is_seed(*m_number, clock::now());
        }
        return false;
    }
    bool on_have(lt::piece_index_t piece) override {
        if (m_number) {
            m_all->offers().has(*m_number, static_cast<int>(piece), clock::now());
        }
        return false;
    }
    bool on_request(lt::peer_request const& request) override {
        if (!m_number) {
            return false;
        }
        auto const piece = static_cast<int>(request.piece);
        if (m_has_fast && m_all->offers().refuses(*m_number, piece)) {
            m_message.clear();
            append_reject(m_message, request);
            m_peer.send_buffer(m_message.data(), static_cast<int>(m_message.size()));
            return true;
        }
        m_all->offers().requested(*m_number, piece, clock::now());
        return false;
    }
    void sent_payload(int bytes) override {
        if (m_number) {
            m_all->offers().sent(*m_number, bytes, clock::now());
        }
    }
    void on_disconnect(lt::error_code const&) override { leave(); }

    void send(std::span<piece_offers::change const> changes) {
        m_message.clear();
        auto any_offered = false;
        for (auto const& [piece, offered] : changes) {
            if (offered) {
                any_offered = true;
                m_message.insert(m_message.end(), {0, 0, 0, 5, msg_have});
                append_number(m_message, piece);
            } else if (m_messages.dont_have != 0) {
                m_messages.append_dont_have(m_message, piece);
            }
        }
        if (any_offered && !m_peer.is_choked() && m_peer.is_peer_interested()) {
            // See prompt_extension.hpp.
            m_message.insert(m_message.end(), {0, 0, 0, 1, msg_unchoke});
        }
        m_peer.send_buffer(m_message.data(), static_cast<int>(m_message.size()));
    }

private:
    bool set_interested(bool interested) {
        if (m_number) {
            m_all->offers().set_interested(*m_number, interested, clock::now());
        }
        return false;
    }
    void set_choked(bool choked) {
        if (m_number) {
            m_all->offers().set_choked(*m_number, choked, clock::now());
        }
    }
    void leave() {
        if (auto const number = std::exchange(m_number, std::nullopt)) {
            m_all->leave(*number);
        }
    }

    std::shared_ptr<connections> m_all;
    lt::peer_connection_handle m_peer;
    bool m_has_fast = false; ///< BEP 6
    offer_messages m_messages;
    std::vector<char> m_message;                ///< reused memory
    std::optional<piece_offers::peer> m_number; ///< nothing once the connection has ended
};

void connections::send(piece_offers::peer to, std::span<piece_offers::change const> changes) {
    if (auto* const connection = m_connections[to]) {
        connection->send(changes);
    }
}

class read_once_torrent final : public lt::torrent_plugin {
public:
    read_once_torrent(piece_offers::image_shape shape, std::shared_ptr<std::atomic<bool> const> enabled)
        : m_all(std::make_shared<connections>(shape, std::move(enabled))) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<read_once_peer>(m_all, peer);
    }
    void tick() override { m_all->tick(); }

private:
    std::shared_ptr<connections> m_all;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_read_once_extension(piece_offers::image_shape shape,
                                                             std::shared_ptr<std::atomic<bool> const> enabled) {
    return std::make_shared<read_once_torrent>(shape, std::move(enabled));
}

} // namespace seedbed
