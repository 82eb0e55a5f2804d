#pragma once

#include <functional>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/fwd.hpp>

#include "core/foundation/info_hash.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

/// Gives pieces only to peers that know the secret. Each side sends a random number in the extension handshake (BEP
/// 10), under the key "sb_nonce", and answers the other side's with a code, in the message "sb_auth": HMAC-SHA-256 over
/// both numbers, both addresses, the info-hash and the direction of the connection. A code is therefore valid for only
/// one connection and cannot be relayed or reflected.
///
/// Until a peer has proved that it knows the secret, its INTERESTED and REQUEST messages are dropped, so it gets no
/// piece. A peer that has not done so within ten seconds, or sends a wrong code, is disconnected. Each side repeats
/// INTERESTED after its code.
///
/// \param on_stranger called on libtorrent's network thread with the endpoint of a refused peer, at most five times in
/// a burst and then once a minute.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_secret_extension(std::shared_ptr<shared_secret const> secret, info_hash const& hash,
                      std::function<void(boost::asio::ip::tcp::endpoint const&)> on_stranger);

} // namespace seedbed
