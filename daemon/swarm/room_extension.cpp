#include "daemon/swarm/room_extension.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <libtorrent/bitfield.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/span.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

namespace lt = libtorrent;

struct session_room {
    explicit session_room(peer_room::patience patience)
        : peers(patience) {}

    std::atomic<int> most{0};
    std::mutex mutex;                   ///< guards `known`
    std::set<peer_room::address> known; ///< see set_known_peers()
    peer_room peers;
    std::map<peer_room::id, lt::peer_connection_handle> handles;
    lt::io_context* network = nullptr; ///< see use_network()
};

namespace {

void disconnect(lt::peer_connection_handle& peer) {
    // As a failure: libtorrent waits longer each time before it connects to that peer again.
    peer.disconnect(lt::errors::too_many_connections, lt::operation_t::bittorrent,
                    lt::peer_connection_interface::failure);
}

/// Bytes in the send buffer of a peer that reads: libtorrent puts blocks of 4 MiB there at most (see
/// set_send_buffer_settings()), and the rest is 100,000 refusals, or 8 of the largest answers with hashes.
constexpr int most_send_buffer = 6 << 20;
constexpr int answers_between_looks = 8192;
/// Changes of a peer's interest in a second. libtorrent answers each by choking or unchoking it; a peer that gets
/// pieces one by one changes it twice a piece.
constexpr int most_interest_changes = 20'000;

class room_peer final : public lt::peer_plugin {
public:
    room_peer(std::shared_ptr<session_room> room, lt::peer_connection_handle peer, int pieces)
        : m_room(std::move(room))
        , m_peer(std::move(peer))
        , m_pieces(pieces) {}
    room_peer(room_peer const&) = delete;
    room_peer& operator=(room_peer const&) = delete;
    ~room_peer() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return "sb_room"; }

    bool on_handshake(lt::span<char const>) override {
        auto const most = static_cast<std::size_t>(std::max(m_room->most.load(std::memory_order_relaxed), 1));
        auto const from = m_peer.remote().address();
        auto const decision = m_room->peers.join(from, is_known(from), most, peer_room::clock::now());
        if (decision.leaves) {
            auto const other = m_room->handles.find(*decision.leaves);
            auto handle = other->second;
            m_room->handles.erase(other);
            disconnect(handle);
        }
        if (decision.admitted) {
            m_id = *decision.admitted;
            m_room->handles.emplace(m_id, m_peer);
        } else {
            disconnect(m_peer);
        }
        return true;
    }
    bool on_interested() override { return interest_changes() || has_reason(); }
    bool on_not_interested() override { return interest_changes(); }
    // libtorrent checks these messages afterwards.
    bool on_have(lt::piece_index_t piece) override {
        auto const index = static_cast<int>(piece);
        m_moved = m_moved || (index >= 0 && index < m_pieces && !m_peer.has_piece(piece));
        return has_reason();
    }
    bool on_piece(lt::peer_request const&, lt::span<char const>) override {
        m_moved = m_moved || m_peer.is_interesting();
        return false;
    }
    bool on_have_all() override { return has_reason(); }
    bool on_bitfield(lt::bitfield const& pieces) override { return pieces.none_set() ? false : has_reason(); }
    void sent_piece(lt::peer_request const&) override { m_moved = true; }
    void sent_reject_request(lt::peer_request const&) override { answers(); }
    void sent_choke() override { answers(); }
    void sent_unchoke() override { answers(); }
    /// Other extensions refuse some requests themselves.
    bool on_request(lt::peer_request const&) override {
        answers();
        return false;
    }
    /// Called once a second.
    void tick() override {
        m_interest_changes = 0;
        auto const waits = m_peer.is_choked() && m_peer.is_peer_interested();
        if (std::exchange(m_moved, false) || waits) {
            m_room->peers.is_active(m_id, peer_room::clock::now());
        }
    }
    void on_disconnect(lt::error_code const&) override { leave(); }

    /// Disconnects the peer if too much waits to be sent to it.
    void limit_send_buffer() {
        if (m_id == 0) {
            return;
        }
        lt::peer_info info;
        m_peer.get_peer_info(info);
        if (info.send_buffer_size > most_send_buffer) {
            m_peer.disconnect(boost::system::errc::make_error_code(boost::system::errc::no_buffer_space),
                              lt::operation_t::bittorrent, lt::peer_connection_interface::peer_error);
        }
    }

private:
    [[nodiscard]] bool is_known(peer_room::address const& from) const {
        std::scoped_lock const lock(m_room->mutex);
        return m_room->known.contains(from);
    }
    bool has_reason() {
        m_room->peers.has_reason(m_id);
        return false;
    }
    /// Something short is about to be sent to the peer.
    void answers() {
        if (++m_answers % answers_between_looks == 0) {
            limit_send_buffer();
        }
    }
    /// \return whether the message is to be ignored.
    bool interest_changes() {
        if (++m_interest_changes <= most_interest_changes) {
            return false;
        }
        m_peer.disconnect(boost::system::errc::make_error_code(boost::system::errc::no_buffer_space),
                          lt::operation_t::bittorrent, lt::peer_connection_interface::peer_error);
        return true;
    }
    void leave() {
        auto const place = std::exchange(m_id, 0);
        m_room->peers.leave(place);
        m_room->handles.erase(place);
    }

    std::shared_ptr<session_room> m_room;
    lt::peer_connection_handle m_peer;
    int const m_pieces;
    peer_room::id m_id = 0; ///< 0: it has no place
    bool m_moved = false;   ///< since the last tick
    unsigned m_answers = 0;
    int m_interest_changes = 0; ///< since the last tick
};

/// How often the send buffers of a v2 torrent's peers are looked at; more rarely if there are many, as looking at one
/// takes some microseconds.
constexpr std::chrono::milliseconds look_every{20};
constexpr std::chrono::microseconds look_every_per_peer{100};

class room_torrent final : public lt::torrent_plugin, public std::enable_shared_from_this<room_torrent> {
public:
    room_torrent(std::shared_ptr<session_room> room, int pieces, bool has_v2)
        : m_room(std::move(room))
        , m_pieces(pieces) {
        if (has_v2 && m_room->network != nullptr) {
            m_timer.emplace(*m_room->network);
        }
    }

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        auto made = std::make_shared<room_peer>(m_room, peer, m_pieces);
        if (m_timer) {
            m_peers.emplace_back(made);
            wait();
        }
        return made;
    }

private:
    void wait() {
        if (m_waiting) {
            return;
        }
        m_timer->expires_after(std::max<std::chrono::microseconds>(look_every, m_peers.size() * look_every_per_peer));
        m_timer->async_wait([weak = weak_from_this()](boost::system::error_code const& canceled) {
            auto const self = weak.lock();
            if (self && !canceled) {
                self->look();
            }
        });
        m_waiting = true;
    }
    /// Nothing catches what it throws.
    void look() noexcept {
        m_waiting = false;
        std::erase_if(m_peers, [](auto const& peer) { return peer.expired(); });
        try {
            for (auto const& each : m_peers) {
                each.lock()->limit_send_buffer();
            }
        } catch (std::bad_alloc const&) { // they are looked at again soon
        }
        if (!m_peers.empty()) {
            retry_on_bad_alloc([this] { wait(); });
        }
    }

    std::shared_ptr<session_room> m_room;
    int const m_pieces;
    std::optional<boost::asio::steady_timer> m_timer; ///< of a v2 torrent
    std::vector<std::weak_ptr<room_peer>> m_peers;    ///< of a v2 torrent; the timer runs while it is not empty
    bool m_waiting = false;                           ///< the timer runs
};

} // namespace

std::shared_ptr<session_room> make_session_room(int most, peer_room::patience patience) {
    auto room = std::make_shared<session_room>(patience);
    set_most_peers(*room, most);
    return room;
}

void set_most_peers(session_room& room, int most) {
    room.most.store(most, std::memory_order_relaxed);
}

void use_network(session_room& room, lt::io_context& network) {
    room.network = &network;
}

void set_known_peers(session_room& room, std::set<boost::asio::ip::address> known) {
    std::scoped_lock const lock(room.mutex);
    room.known = std::move(known);
}

std::shared_ptr<lt::torrent_plugin> make_room_extension(std::shared_ptr<session_room> room,
                                                        lt::torrent_info const& torrent) {
    return std::make_shared<room_torrent>(std::move(room), torrent.num_pieces(), torrent.info_hashes().has_v2());
}

} // namespace seedbed
