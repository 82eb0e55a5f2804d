#include "daemon/swarm/ahead_extension.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <libtorrent/bitfield.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/foundation/block_size.hpp"
#include "daemon/swarm/offer_messages.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

constexpr char msg_request = 6; // BEP 3

/// How much of a piece is requested before it is needed.
constexpr int bytes_ahead = 256 << 10;

class giving_peer final : public lt::peer_plugin {
public:
    giving_peer(std::shared_ptr<lt::torrent_info const> torrent, lt::peer_connection_handle peer)
        : m_torrent(std::move(torrent))
        , m_peer(std::move(peer)) {}

    [[nodiscard]] lt::string_view type() const override { return "sb_ahead"; }

    bool on_have_all() override {
        m_was_seed = true;
        return false;
    }
    bool on_bitfield(lt::bitfield const& pieces) override {
        m_was_seed = pieces.all_set();
        return false;
    }
    /// A peer that had every piece has withheld this one until now.
    bool on_have(lt::piece_index_t piece) override {
        if (m_was_seed && piece >= lt::piece_index_t{0} && piece < m_torrent->end_piece()) {
            m_given.resize(m_torrent->num_pieces());
            m_given.set_bit(piece);
        }
        return false;
    }
    bool on_choke() override {
        m_end = 0; // it drops all requests
        return false;
    }
    bool on_reject(lt::peer_request const& block) override {
        if (block.piece == m_piece) {
            m_end = std::min(m_end, block.start); // libtorrent sends the rest itself
        }
        return false;
    }
    /// \return whether libtorrent must not send the request itself.
    bool write_request(lt::peer_request const& block) override {
        if (is_given(block.piece) && block.start == 0) {
            m_piece = block.piece;
            m_next = 0;
            m_end = 0;
        } else if (block.piece != m_piece || block.start < m_next || block.start >= m_end) {
            return false;
        }
        m_next = block.start + block.length;
        request_until(std::min(m_torrent->piece_size(m_piece), m_next + bytes_ahead));
        return true;
    }

private:
    [[nodiscard]] bool is_given(lt::piece_index_t piece) const {
        return piece < m_given.end_index() && m_given.get_bit(piece);
    }
    void request_until(int end) {
        m_message.clear();
        while (m_end < end) {
            auto const length = std::min(block_size, m_torrent->piece_size(m_piece) - m_end);
            m_message.insert(m_message.end(), {0, 0, 0, 13, msg_request});
            for (auto const number : {static_cast<std::int32_t>(m_piece), m_end, length}) {
                append_number(m_message, number);
            }
            m_end += length;
        }
        if (!m_message.empty()) {
            m_peer.send_buffer(m_message.data(), static_cast<int>(m_message.size()));
        }
    }

    std::shared_ptr<lt::torrent_info const> m_torrent;
    lt::peer_connection_handle m_peer;
    bool m_was_seed = false; ///< when it connected
    lt::typed_bitfield<lt::piece_index_t> m_given;
    /// The piece whose blocks were requested last, from the first one on.
    lt::piece_index_t m_piece{-1};
    int m_next = 0;              ///< where the first block begins that libtorrent has not requested, in bytes
    int m_end = 0;               ///< where the first block begins that the peer has not been sent a request for
    std::vector<char> m_message; ///< reused memory
};

class receiving_torrent final : public lt::torrent_plugin {
public:
    explicit receiving_torrent(std::shared_ptr<lt::torrent_info const> torrent)
        : m_torrent(std::move(torrent)) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<giving_peer>(m_torrent, peer);
    }

private:
    std::shared_ptr<lt::torrent_info const> m_torrent;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_ahead_extension(std::shared_ptr<lt::torrent_info const> torrent) {
    return std::make_shared<receiving_torrent>(std::move(torrent));
}

} // namespace seedbed
