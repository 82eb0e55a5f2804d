#include "daemon/swarm/prompt_extension.hpp"

#include <array>
#include <utility>

#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>

namespace seedbed {

namespace lt = libtorrent;

namespace {

class prompted_peer final : public lt::peer_plugin {
public:
    explicit prompted_peer(lt::peer_connection_handle peer)
        : m_peer(std::move(peer)) {}

    [[nodiscard]] lt::string_view type() const override { return "sb_prompt"; }

    bool on_request(lt::peer_request const&) override {
        ++m_requests;
        return false;
    }
    void sent_piece(lt::peer_request const&) override { answered(); }
    void sent_reject_request(lt::peer_request const&) override { answered(); }
    void sent_choke() override { m_requests = 0; }

    void sent_have(lt::piece_index_t) override {
        if (m_requests == 0 && !m_peer.is_choked() && m_peer.is_peer_interested()) {
            constexpr std::array<char, 5> unchoke = {0, 0, 0, 1, 1};
            m_peer.send_buffer(unchoke.data(), static_cast<int>(unchoke.size()));
        }
    }

private:
    void answered() { m_requests -= m_requests > 0 ? 1 : 0; }

    lt::peer_connection_handle m_peer;
    int m_requests = 0; ///< that the peer has sent and that have not been answered
};

class prompting_torrent final : public lt::torrent_plugin {
public:
    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<prompted_peer>(peer);
    }
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_prompt_extension() {
    return std::make_shared<prompting_torrent>();
}

} // namespace seedbed
