#include "daemon/swarm/withdrawal_extension.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/span.hpp>

#include "daemon/swarm/offer_messages.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

constexpr char msg_choke = 0; // BEP 3

/// Requests of a peer that may wait; further ones are rejected.
constexpr std::size_t most_waiting = 4096;

class withdrawal_peer;

/// What all connections of a torrent share.
struct withdrawal_state {
    withdrawal_state(std::shared_ptr<withdrawn_pieces const> of, std::shared_ptr<piece_supply> from)
        : pieces(std::move(of))
        , supply(std::move(from))
        , told(static_cast<std::size_t>(pieces->pieces())) {}

    std::shared_ptr<withdrawn_pieces const> const pieces;
    std::shared_ptr<piece_supply> const supply;
    std::uint64_t seen = 0;          ///< changes of all pieces, at the last look
    std::vector<std::uint32_t> told; ///< changes of each piece that the peers have been told of
    std::set<withdrawal_peer*> peers;
};

class withdrawal_peer final : public lt::peer_plugin {
public:
    withdrawal_peer(std::shared_ptr<withdrawal_state> all, lt::peer_connection_handle peer)
        : m_all(std::move(all))
        , m_peer(std::move(peer)) {
        m_all->peers.insert(this);
    }
    withdrawal_peer(withdrawal_peer const&) = delete;
    withdrawal_peer& operator=(withdrawal_peer const&) = delete;
    ~withdrawal_peer() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return "sb_withdrawal"; }

    bool on_handshake(lt::span<char const> reserved) override {
        m_has_fast = (reserved[7] & 0x04) != 0;
        m_awaits_messages = (reserved[5] & 0x10) != 0;
        return true;
    }
    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        m_awaits_messages = false;
        static_cast<void>(m_messages.take(handshake));
        if (understands() && !std::exchange(m_told_all, true)) {
            tell_all();
        }
        if (!m_peer.is_choked()) {
            choke_if_ignorant();
        }
        return true;
    }
    void sent_unchoke() override { choke_if_ignorant(); }
    bool on_request(lt::peer_request const& request) override {
        auto const number = static_cast<std::int32_t>(request.piece);
        if (number < 0 || number >= m_all->pieces->pieces()) {
            return false;
        }
        piece_index const piece{number};
        if (m_all->pieces->contains(piece)) {
            reject({request});
            return true;
        }
        if (auto const waiting = m_waiting.find(number); waiting != m_waiting.end()) {
            if (m_waiting_requests < most_waiting) {
                waiting->second.push_back(request);
                ++m_waiting_requests;
            } else {
                reject({request});
            }
            return true;
        }
        if (m_has_fast && !m_all->supply->at_hand(piece)) {
            m_waiting.try_emplace(number);
        }
        m_all->supply->begin_request(piece);
        ++m_requests[number];
        return false;
    }
    bool on_cancel(lt::peer_request const& request) override {
        auto const waiting = m_waiting.find(static_cast<std::int32_t>(request.piece));
        auto const erased = waiting != m_waiting.end() ? std::erase(waiting->second, request) : 0;
        if (erased == 0) {
            return false;
        }
        m_waiting_requests -= erased;
        reject({request});
        return true;
    }
    void sent_piece(lt::peer_request const& block) override { on_answered(block); }
    void sent_reject_request(lt::peer_request const& block) override { on_answered(block); }
    void sent_choke() override {
        if (!m_has_fast) {
            end_requests(); // libtorrent drops them
        }
    }
    void on_disconnect(lt::error_code const&) override { leave(); }

    void tell(std::span<std::int32_t const> withdrawn) {
        if (!m_told_all) {
            return; // told of all pieces later, or never
        }
        m_message.clear();
        for (auto const piece : withdrawn) {
            m_messages.append_dont_have(m_message, piece);
        }
        send();
    }

private:
    [[nodiscard]] bool understands() const noexcept { return m_messages.dont_have != 0; }

    void leave() {
        m_all->peers.erase(this);
        end_requests();
    }
    void end_requests() {
        for (auto const& [number, count] : m_requests) {
            m_all->supply->end_requests(piece_index{number}, count);
        }
        m_requests.clear();
        m_waiting.clear();
        m_waiting_requests = 0;
    }
    /// libtorrent has answered a request.
    void on_answered(lt::peer_request const& block) {
        auto const number = static_cast<std::int32_t>(block.piece);
        if (auto const at = m_requests.find(number); at != m_requests.end()) {
            m_all->supply->end_requests(piece_index{number}, 1);
            if (--at->second == 0) {
                m_requests.erase(at);
            }
        }
        if (auto const waited = m_waiting.extract(number)) {
            m_waiting_requests -= waited.mapped().size();
            reject(waited.mapped());
        }
    }

    /// libtorrent, which unchokes a new peer before it knows anything of it, does not learn of this.
    void choke_if_ignorant() {
        if (m_all->pieces->any() && !understands() && !m_awaits_messages) {
            m_message = {0, 0, 0, 1, msg_choke};
            send();
        }
    }

    void tell_all() {
        m_message.clear();
        for (piece_index piece{0}; m_all->pieces->any() && piece.value() < m_all->pieces->pieces(); ++piece) {
            if (m_all->pieces->contains(piece)) {
                m_messages.append_dont_have(m_message, piece.value());
            }
        }
        send();
    }

    /// \param requests for the same piece.
    void reject(std::vector<lt::peer_request> const& requests) {
        if (requests.empty()) {
            return;
        }
        auto const number = static_cast<std::int32_t>(requests.front().piece);
        auto const withdrawn = m_all->pieces->contains(piece_index{number});
        m_message.clear();
        if (withdrawn && understands()) {
            m_messages.append_dont_have(m_message, number);
        }
        for (auto const& request : requests) {
            if (m_has_fast) {
                append_reject(m_message, request);
            }
        }
        send();
        if (withdrawn && (!understands() || !m_has_fast)) {
            m_peer.disconnect(lt::errors::uninteresting_upload_peer, lt::operation_t::bittorrent,
                              lt::peer_connection_interface::normal);
        }
    }

    void send() {
        if (!m_message.empty()) {
            m_peer.send_buffer(m_message.data(), static_cast<int>(m_message.size()));
        }
    }

    std::shared_ptr<withdrawal_state> m_all;
    lt::peer_connection_handle m_peer;
    bool m_has_fast = false;        ///< BEP 6
    bool m_awaits_messages = false; ///< an extension handshake is still to come
    bool m_told_all = false;        ///< of all that were withdrawn at that time
    /// Libtorrent has not answered so many requests for a piece; by the piece's number.
    std::map<std::int32_t, std::uint32_t> m_requests;
    /// Requests that wait for the answer to the first one for a piece that was not at hand; by the piece's number.
    std::map<std::int32_t, std::vector<lt::peer_request>> m_waiting;
    std::size_t m_waiting_requests = 0; ///< in all of m_waiting
    offer_messages m_messages;
    std::vector<char> m_message; ///< reused memory
};

class withdrawal_torrent final : public lt::torrent_plugin {
public:
    withdrawal_torrent(std::shared_ptr<withdrawn_pieces const> pieces, std::shared_ptr<piece_supply> supply)
        : m_all(std::make_shared<withdrawal_state>(std::move(pieces), std::move(supply))) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<withdrawal_peer>(m_all, peer);
    }
    /// A piece that arrives again is announced by libtorrent.
    void tick() override {
        auto const changes = m_all->pieces->changes();
        if (std::exchange(m_all->seen, changes) == changes) {
            return;
        }
        std::vector<std::int32_t> withdrawn;
        for (std::int32_t piece = 0; piece < m_all->pieces->pieces(); ++piece) {
            auto const now = m_all->pieces->changes_of(piece_index{piece});
            auto const before = std::exchange(m_all->told[static_cast<std::size_t>(piece)], now);
            if (now != before && withdrawn_pieces::is_withdrawn(now)) {
                withdrawn.push_back(piece);
            }
        }
        for (auto* const peer : m_all->peers) {
            peer->tell(withdrawn);
        }
    }

private:
    std::shared_ptr<withdrawal_state> m_all;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_withdrawal_extension(std::shared_ptr<withdrawn_pieces const> pieces,
                                                              std::shared_ptr<piece_supply> supply) {
    return std::make_shared<withdrawal_torrent>(std::move(pieces), std::move(supply));
}

} // namespace seedbed
