#include "daemon/swarm/ban_extension.hpp"

#include <utility>

#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>
#include <libtorrent/span.hpp>

namespace seedbed {

namespace lt = libtorrent;

namespace {

class screened_peer final : public lt::peer_plugin {
public:
    screened_peer(std::shared_ptr<banned_addresses const> banned, lt::peer_connection_handle peer)
        : m_banned(std::move(banned))
        , m_peer(std::move(peer)) {}

    [[nodiscard]] lt::string_view type() const override { return "sb_ban"; }

    bool on_handshake(lt::span<char const>) override {
        if (m_banned->contains(m_peer.remote().address())) {
            m_peer.disconnect(lt::errors::peer_banned, lt::operation_t::bittorrent,
                              lt::peer_connection_interface::failure);
        }
        return true;
    }

private:
    std::shared_ptr<banned_addresses const> m_banned;
    lt::peer_connection_handle m_peer;
};

class screening_torrent final : public lt::torrent_plugin {
public:
    explicit screening_torrent(std::shared_ptr<banned_addresses const> banned)
        : m_banned(std::move(banned)) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<screened_peer>(m_banned, peer);
    }

private:
    std::shared_ptr<banned_addresses const> m_banned;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_ban_extension(std::shared_ptr<banned_addresses const> banned) {
    return std::make_shared<screening_torrent>(std::move(banned));
}

} // namespace seedbed
