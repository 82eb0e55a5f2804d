#include "daemon/swarm/secret_extension.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <libtorrent/bdecode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/operations.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/peer_connection_interface.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/span.hpp>

#include "daemon/log/line_limit.hpp"
#include "daemon/swarm/offer_messages.hpp"
#include "daemon/swarm/secret_offer.hpp"

namespace seedbed {

namespace lt = libtorrent;

// Threads: everything here is confined to libtorrent's network thread.

namespace {

/// This side's number for the message; libtorrent's own numbers are smaller.
constexpr char own_message = 61;
constexpr std::size_t code_digits = 2 * shared_secret::code_bytes;

constexpr char bt_interested = 2; // BEP 3

struct secret_state {
    std::shared_ptr<shared_secret const> secret;
    info_hash hash;
    std::chrono::seconds patience{};
    std::function<void(boost::asio::ip::tcp::endpoint const&, secret_refusal, std::string const&)> on_stranger;
    line_limit strangers{5, std::chrono::minutes(1)};
};

std::string without_scope(boost::asio::ip::address const& address) {
    auto const text = address.to_string();
    return text.substr(0, text.find('%'));
}

class authenticated_peer final : public lt::peer_plugin {
public:
    authenticated_peer(std::shared_ptr<secret_state> state, lt::peer_connection_handle peer)
        : m_state(std::move(state))
        , m_peer(std::move(peer))
        , m_nonce(random_bytes(secret_offer::nonce_bytes)) {}

    [[nodiscard]] lt::string_view type() const override { return secret_offer::message_name; }

    void add_handshake(lt::entry& handshake) override {
        handshake["m"][secret_offer::message_name] = static_cast<int>(own_message);
        handshake[secret_offer::nonce_key] = m_nonce;
    }

    bool on_extension_handshake(lt::bdecode_node const& handshake) override {
        auto const offer = read_secret_offer(handshake);
        if (!m_their_nonce.empty() || !offer) {
            return true; // a repetition, or another client; tick() refuses a peer without proof
        }
        m_their_nonce = offer->nonce;
        send_code(offer->message);
        return true;
    }

    bool on_extended(int length, int message, lt::span<char const> body) override {
        if (message != own_message) {
            return false;
        }
        if (length != static_cast<int>(code_digits)) {
            refuse(secret_refusal::wrong_proof);
        } else if (body.size() == length) { // it may arrive in parts
            auto const right =
                !m_their_nonce.empty() &&
                m_state->secret->proves(text_of(!m_peer.is_outgoing(), m_peer.remote().address(),
                                                m_peer.local_endpoint().address(), m_nonce, m_their_nonce),
                                        std::string(body.begin(), body.end()));
            if (right) {
                m_proven = true;
            } else {
                refuse(secret_refusal::wrong_proof);
            }
        }
        return true;
    }

    /// Returns true to hide the message from libtorrent.
    bool on_interested() override { return !m_proven; }
    bool on_request(lt::peer_request const&) override { return !m_proven; }
    bool on_unchoke() override { return !m_proven; }
    bool on_allowed_fast(lt::piece_index_t) override { return !m_proven; }

    void tick() override {
        if (!m_proven && ++m_ticks > m_state->patience.count()) {
            refuse(secret_refusal::no_proof);
        }
    }

private:
    /// The text that a code authenticates. \param by_connector whether its sender has opened the connection. \param
    /// challenge of the receiver.
    [[nodiscard]] std::string text_of(bool by_connector, boost::asio::ip::address const& sender,
                                      boost::asio::ip::address const& receiver, std::string const& challenge,
                                      std::string const& nonce) const {
        return std::string("seedbed peer\n") + (by_connector ? "connects" : "accepts") + "\n" + without_scope(sender) +
               "\n" + without_scope(receiver) + "\n" + std::string(m_state->hash.bytes()) + challenge + nonce;
    }

    void send_code(char number) {
        auto const code = m_state->secret->code(text_of(m_peer.is_outgoing(), m_peer.local_endpoint().address(),
                                                        m_peer.remote().address(), m_their_nonce, m_nonce));
        std::vector<char> message{0, 0, 0, static_cast<char>(2 + code_digits), msg_extended, number};
        message.insert(message.end(), code.begin(), code.end());
        if (m_peer.is_interesting()) { // sent earlier, and dropped by the other side
            message.insert(message.end(), {0, 0, 0, 1, bt_interested});
        }
        m_peer.send_buffer(message.data(), static_cast<int>(message.size()));
    }

    void refuse(secret_refusal why) {
        if (!std::exchange(m_refused, true)) {
            if (auto const note = m_state->strangers.take_noting(allowance::clock::now())) {
                m_state->on_stranger(m_peer.remote(), why, *note);
            }
            m_peer.disconnect(lt::errors::peer_banned, lt::operation_t::bittorrent);
        }
    }

    std::shared_ptr<secret_state> m_state;
    lt::peer_connection_handle m_peer;
    std::string const m_nonce;
    std::string m_their_nonce; ///< empty until the peer's handshake arrives
    int m_ticks = 0;           ///< of one second each
    bool m_proven = false;
    bool m_refused = false;
};

class secret_torrent final : public lt::torrent_plugin {
public:
    explicit secret_torrent(std::shared_ptr<secret_state> state)
        : m_state(std::move(state)) {}

    std::shared_ptr<lt::peer_plugin> new_connection(lt::peer_connection_handle const& peer) override {
        return std::make_shared<authenticated_peer>(m_state, peer);
    }

private:
    std::shared_ptr<secret_state> m_state;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_secret_extension(
    std::shared_ptr<shared_secret const> secret, info_hash const& hash, std::chrono::seconds proof_time,
    std::function<void(boost::asio::ip::tcp::endpoint const&, secret_refusal, std::string const&)> on_stranger) {
    auto state = std::make_shared<secret_state>();
    state->secret = std::move(secret);
    state->hash = hash;
    state->patience = proof_time;
    state->on_stranger = std::move(on_stranger);
    return std::make_shared<secret_torrent>(std::move(state));
}

} // namespace seedbed
