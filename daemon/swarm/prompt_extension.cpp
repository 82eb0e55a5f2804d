#include "daemon/swarm/prompt_extension.hpp"

#include <array>
#include <utility>

#include <boost/system/error_code.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/span.hpp>

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// libtorrent rejects what exceeds 4,000 requests of a peer, without those that it is reading from the device; of
/// these, it has no more than fit into the send buffer, 256 blocks, however many short requests that may be.
constexpr int most_unanswered = 8192;

class prompted_peer final : public lt::peer_plugin {
public:
    prompted_peer(lt::peer_connection_handle peer, int pieces)
        : m_peer(std::move(peer))
        , m_pieces(pieces) {}

    [[nodiscard]] lt::string_view type() const override { return "sb_prompt"; }

    bool on_handshake(lt::span<char const> reserved) override {
        m_has_fast = (reserved[7] & 0x04) != 0;
        return true;
    }
    bool on_request(lt::peer_request const& request) override {
        if (request.piece < lt::piece_index_t{0} || request.piece >= lt::piece_index_t{m_pieces}) {
            return false; // answered at once, or, without BEP 6, dropped
        }
        if (++m_requests > most_unanswered) {
            m_peer.disconnect(boost::system::errc::make_error_code(boost::system::errc::no_buffer_space),
                              lt::operation_t::bittorrent, lt::peer_connection_interface::peer_error);
            return true;
        }
        return false;
    }
    // Without BEP 6, libtorrent does not answer requests that it drops.
    bool on_cancel(lt::peer_request const&) override {
        if (!m_has_fast) {
            answered();
        }
        return false;
    }
    void sent_piece(lt::peer_request const&) override { answered(); }
    void sent_reject_request(lt::peer_request const&) override { answered(); }
    void sent_choke() override { m_requests = m_has_fast ? m_requests : 0; }

    void sent_have(lt::piece_index_t) override {
        if (m_requests == 0 && !m_peer.is_choked() && m_peer.is_peer_interested()) {
            constexpr std::array<char, 5> unchoke = {0, 0, 0, 1, 1};
            m_peer.send_buffer(unchoke.data(), static_cast<int>(unchoke.size()));
        }
    }

private:
    void answered() { m_requests -= m_requests > 0 ? 1 : 0; }

    lt::peer_connection_handle m_peer;
    int const m_pieces;
    bool m_has_fast = false; ///< BEP 6
    int m_requests = 0;      ///< that the peer has sent and that have not been answered
};

class prompting_torrent final : public lt::torrent_plugin {
public:
    explicit prompting_torrent(int pieces)
        : m_pieces(pieces) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<prompted_peer>(peer, m_pieces);
    }

private:
    int const m_pieces;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_prompt_extension(int pieces) {
    return std::make_shared<prompting_torrent>(pieces);
}

} // namespace seedbed
