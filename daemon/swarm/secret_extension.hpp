#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/fwd.hpp>

#include "core/foundation/info_hash.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

/// Why a peer was refused.
enum class secret_refusal : std::uint8_t {
    no_proof,   ///< in time
    wrong_proof ///< another secret, or an address that is translated on the way
};

/// Gives pieces only to peers that know the secret. Each side sends a random number in the extension handshake (BEP
/// 10), under the key "sb_nonce", and answers the other side's with a code, in the message "sb_auth": HMAC-SHA-256 over
/// both numbers, both addresses, the info-hash and the direction of the connection. A code is therefore valid for only
/// one connection and cannot be relayed or reflected.
///
/// Until a peer has proved that it knows the secret, its REQUEST messages are dropped, so it gets no piece, its UNCHOKE
/// and ALLOWED FAST messages, so nothing is requested from it, and its INTERESTED messages. A peer that has not done so
/// in time, or sends a wrong code, is disconnected. Each side repeats INTERESTED after its code; libtorrent
/// answers that with UNCHOKE, even if it has sent one with its handshake.
///
/// \param proof_time how long a peer has for its proof, at the precision of libtorrent's tick of one second.
/// \param on_stranger called on libtorrent's network thread with the endpoint of a refused peer, at most five times in
/// a burst and then once a minute; its last argument is the end of a line, which states how many calls were left out.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_secret_extension(
    std::shared_ptr<shared_secret const> secret, info_hash const& hash, std::chrono::seconds proof_time,
    std::function<void(boost::asio::ip::tcp::endpoint const&, secret_refusal, std::string const&)> on_stranger);

} // namespace seedbed
