#include "daemon/swarm/libtorrent_types.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string_view>

#include <boost/asio/ip/address.hpp>
#include <libtorrent/hex.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/torrent_status.hpp>

#include "core/foundation/printable.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// A peer can choose a name of any length.
constexpr std::size_t longest_client = 64;

} // namespace

std::string to_text(lt::tcp::endpoint const& endpoint) {
    auto const address = endpoint.address().to_string();
    auto const port = ":" + std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + address + "]" + port : address + port;
}

int to_limit(std::int64_t bytes_per_second) {
    return bytes_per_second == 0 ? -1 : static_cast<int>(bytes_per_second);
}

lt::ip_filter global_limits_for_all() {
    using boost::asio::ip::make_address;
    constexpr std::uint32_t global = 1U << static_cast<std::uint32_t>(lt::session::global_peer_class_id);
    lt::ip_filter all;
    all.add_rule(make_address("0.0.0.0"), make_address("255.255.255.255"), global);
    all.add_rule(make_address("::"), make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), global);
    return all;
}

torrent_progress to_progress(lt::torrent_status const& status) {
    torrent_progress progress;
    using state = lt::torrent_status;
    progress.current = status.is_seeding ? torrent_progress::phase::complete
                       : status.state == state::checking_files || status.state == state::checking_resume_data
                           ? torrent_progress::phase::checking
                           : torrent_progress::phase::downloading;
    progress.fraction = static_cast<double>(status.progress_ppm) / 1e6;
    progress.bytes_left = status.total_wanted - status.total_wanted_done;
    progress.downloaded = status.total_payload_download;
    progress.uploaded = status.total_payload_upload;
    progress.peers = status.num_peers;
    progress.sources = status.num_seeds;
    progress.good_pieces = status.num_pieces;
    progress.obtainable = status.distributed_full_copies != 0; // counts this side; -1 if it is not known
    return progress;
}

peer_status to_peer_status(lt::peer_info const& peer) {
    peer_status status;
    status.address = peer.ip.address().to_string();
    status.port = peer.ip.port();
    status.incoming = !(peer.flags & lt::peer_info::outgoing_connection);
    status.id = lt::aux::to_hex(peer.pid);
    status.client = printable(std::string_view(peer.client).substr(0, longest_client));
    status.fraction = static_cast<double>(peer.progress_ppm) / 1e6;
    status.seed = bool(peer.flags & lt::peer_info::seed);
    // libtorrent's rates take a minute to decay; a silent peer has none.
    if (peer.last_active < std::chrono::seconds(2)) {
        status.download_rate = peer.payload_down_speed;
        status.upload_rate = peer.payload_up_speed;
    }
    status.downloaded = peer.total_download;
    status.uploaded = peer.total_upload;
    return status;
}

std::vector<bool> to_pieces(piece_bitfield const& pieces) {
    std::vector<bool> copy(static_cast<std::size_t>(pieces.size()));
    std::copy(pieces.begin(), pieces.end(), copy.begin());
    return copy;
}

piece_bitfield to_bitfield(std::vector<bool> const& pieces) {
    piece_bitfield copy(static_cast<int>(pieces.size()), false);
    for (std::size_t i = 0; i < pieces.size(); ++i) {
        if (pieces[i]) {
            copy.set_bit(lt::piece_index_t(static_cast<int>(i)));
        }
    }
    return copy;
}

} // namespace seedbed
