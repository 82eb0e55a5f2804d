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
/// both numbers, both addresses, the info-hash and who has connected to whom. So a code holds for one connection and
/// cannot be passed on or sent back.
///
/// Until a peer has proven itself, its INTERESTED and REQUEST messages are dropped: it gets no piece. A peer that
/// has not done so within ten seconds, or sends a wrong code, is disconnected. Each side sends INTERESTED again after
/// its code.
///
/// \param on_stranger called on libtorrent's network thread with the address of such a peer, for some of them: at most
/// five at once, and one a minute after that.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_secret_extension(std::shared_ptr<shared_secret const> secret, info_hash const& hash,
                      std::function<void(boost::asio::ip::tcp::endpoint const&)> on_stranger);

} // namespace seedbed
