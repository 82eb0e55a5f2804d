#include "daemon/swarm/report_extension.hpp"

#include <algorithm>
#include <utility>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>

#include "daemon/swarm/handshake_port.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

constexpr char const* report_key = "sb_report";

struct shared_state {
    std::uint16_t port;
    std::vector<std::uint16_t> own_ports;
    std::function<void(boost::asio::ip::tcp::endpoint const&)> on_report_port;
};

class report_peer final : public lt::peer_plugin {
public:
    report_peer(std::shared_ptr<shared_state const> state, lt::peer_connection_handle peer)
        : m_state(std::move(state))
        , m_peer(std::move(peer)) {}

    [[nodiscard]] lt::string_view type() const override { return report_key; }

    /// Called for outgoing connections only.
    void on_connected() override {
        auto const& to = m_peer.remote();
        if (to.address() == m_peer.local_endpoint().address() &&
            std::ranges::find(m_state->own_ports, to.port()) != m_state->own_ports.end()) {
            m_peer.disconnect(lt::errors::self_connection, lt::operation_t::bittorrent,
                              lt::peer_connection_interface::failure);
        }
    }

    void add_handshake(lt::entry& handshake) override {
        if (m_state->port != 0) {
            handshake[report_key] = m_state->port;
        }
    }

    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        if (auto const port = handshake_port(handshake, report_key); port != 0 && !std::exchange(m_reported, true)) {
            m_state->on_report_port({m_peer.remote().address(), port});
        }
        return true;
    }

private:
    std::shared_ptr<shared_state const> m_state;
    lt::peer_connection_handle m_peer;
    bool m_reported = false; ///< on_report_port has been called
};

class report_torrent final : public lt::torrent_plugin {
public:
    explicit report_torrent(std::shared_ptr<shared_state const> state)
        : m_state(std::move(state)) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<report_peer>(m_state, peer);
    }

private:
    std::shared_ptr<shared_state const> m_state;
};

} // namespace

std::shared_ptr<lt::torrent_plugin>
make_report_extension(std::uint16_t port, std::vector<std::uint16_t> own_ports,
                      std::function<void(boost::asio::ip::tcp::endpoint const&)> on_report_port) {
    return std::make_shared<report_torrent>(
        std::make_shared<shared_state const>(shared_state{port, std::move(own_ports), std::move(on_report_port)}));
}

} // namespace seedbed
