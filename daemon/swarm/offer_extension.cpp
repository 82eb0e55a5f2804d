#include "daemon/swarm/offer_extension.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/bitfield.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_request.hpp>

#include "daemon/swarm/piece_offers.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

constexpr char msg_have = 4;      // BEP 3
constexpr char msg_extended = 20; // BEP 10

class peer_extension;

/// All of a torrent's connections.
class connections {
public:
    connections(int pieces, std::function<int()> first_help)
        : m_first_help(std::move(first_help))
        , m_offers(pieces, [this](piece_offers::peer to, int piece, bool offered) { tell(to, piece, offered); }) {
        m_offers.set_first_help(m_first_help());
    }

    [[nodiscard]] piece_offers& offers() noexcept { return m_offers; }
    [[nodiscard]] piece_offers::peer join(peer_extension& connection) {
        auto const number = m_offers.joined();
        m_connections.resize(std::max(m_connections.size(), number + 1));
        m_connections[number] = &connection;
        return number;
    }
    void leave(piece_offers::peer number) {
        m_connections[number] = nullptr;
        m_offers.left(number);
    }
    void tick() {
        m_offers.set_first_help(m_first_help());
        m_offers.second_passed();
    }

private:
    void tell(piece_offers::peer to, int piece, bool offered);

    std::function<int()> m_first_help;
    piece_offers m_offers;
    std::vector<peer_extension*> m_connections; ///< by their number; null: ended
};

class peer_extension final : public lt::peer_plugin {
public:
    peer_extension(std::shared_ptr<connections> all, lt::peer_connection_handle peer)
        : m_all(std::move(all))
        , m_peer(std::move(peer))
        , m_number(m_all->join(*this)) {}
    peer_extension(peer_extension const&) = delete;
    peer_extension& operator=(peer_extension const&) = delete;
    ~peer_extension() override { leave(); }

    [[nodiscard]] lt::string_view type() const override { return "sb_offers"; }

    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        auto const messages =
            handshake.type() == lt::bdecode_node::dict_t ? handshake.dict_find_dict("m") : lt::bdecode_node();
        if (!messages) {
            return true;
        }
        auto const number_of = [&messages](char const* name) {
            auto const number = messages.dict_find_int_value(name);
            return number > 0 && number < 256 ? static_cast<char>(number) : char{0};
        };
        m_dont_have = number_of("lt_donthave");
        m_upload_only = number_of("upload_only");
        if (m_dont_have != 0 && m_upload_only != 0 && m_number) {
            m_all->offers().can_be_told(*m_number);
        }
        return true;
    }
    bool on_bitfield(lt::bitfield const& there) override {
        if (m_number && there.all_set()) {
            m_all->offers().is_seed(*m_number);
        } else if (m_number) {
            for (int piece = 0; piece < there.size(); ++piece) {
                if (there.get_bit(piece)) {
                    m_all->offers().has(*m_number, piece);
                }
            }
        }
        return false;
    }
    bool on_have_all() override {
        if (m_number) {
            m_all->offers().is_seed(*m_number);
        }
        return false;
    }
    bool on_have(lt::piece_index_t piece) override {
        if (m_number) {
            m_all->offers().has(*m_number, static_cast<int>(piece));
        }
        return false;
    }
    bool on_request(lt::peer_request const& request) override {
        if (m_number) {
            m_all->offers().requested(*m_number, static_cast<int>(request.piece));
        }
        return false;
    }
    void on_disconnect(lt::error_code const&) override { leave(); }

    void tell(int piece, bool offered) {
        auto const number = static_cast<std::uint32_t>(piece);
        auto const byte = [number](int shift) { return static_cast<char>(number >> shift & 0xff); };
        if (offered) {
            send(std::array<char, 9>{0, 0, 0, 5, msg_have, byte(24), byte(16), byte(8), byte(0)});
            return;
        }
        send(std::array<char, 10>{0, 0, 0, 6, msg_extended, m_dont_have, byte(24), byte(16), byte(8), byte(0)});
        if (!std::exchange(m_is_no_seed, true)) {
            // libtorrent hangs up on a seed that has nothing of use, and tries it again after a minute.
            send(std::array<char, 7>{0, 0, 0, 3, msg_extended, m_upload_only, 0});
        }
    }

private:
    template <std::size_t Size>
    void send(std::array<char, Size> const& message) {
        m_peer.send_buffer(message.data(), static_cast<int>(message.size()));
    }
    void leave() {
        if (auto const number = std::exchange(m_number, std::nullopt)) {
            m_all->leave(*number);
        }
    }

    std::shared_ptr<connections> m_all;
    lt::peer_connection_handle m_peer;
    // Numbers of messages, as the peer wants them (BEP 10); 0: it does not know them.
    char m_dont_have = 0;
    char m_upload_only = 0;
    bool m_is_no_seed = false;                  ///< it was told so
    std::optional<piece_offers::peer> m_number; ///< nothing once it has ended
};

void connections::tell(piece_offers::peer to, int piece, bool offered) {
    if (auto* const connection = m_connections[to]) {
        connection->tell(piece, offered);
    }
}

class torrent_extension final : public lt::torrent_plugin {
public:
    torrent_extension(int pieces, std::function<int()> first_help)
        : m_all(std::make_shared<connections>(pieces, std::move(first_help))) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<peer_extension>(m_all, peer);
    }
    void tick() override { m_all->tick(); }

private:
    std::shared_ptr<connections> m_all;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_offer_extension(int pieces, std::function<int()> first_help) {
    return std::make_shared<torrent_extension>(pieces, std::move(first_help));
}

} // namespace seedbed
