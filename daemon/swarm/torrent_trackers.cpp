#include "daemon/swarm/torrent_trackers.hpp"

#include <libtorrent/announce_entry.hpp>
#include <libtorrent/info_hash.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/image/libtorrent_hash.hpp"

namespace seedbed {

namespace lt = libtorrent;

std::vector<std::string> announce_urls(image_torrent const& torrent) {
    std::vector<std::string> urls;
    for (auto const& entry : torrent.info->trackers()) {
        urls.push_back(entry.url);
    }
    return urls;
}

std::vector<info_hash> announced_hashes(image_torrent const& torrent) {
    std::vector<info_hash> hashes;
    auto const& of = torrent.info->info_hashes();
    for (auto const version : {lt::protocol_version::V1, lt::protocol_version::V2}) {
        if (of.has(version)) {
            hashes.push_back(to_info_hash(of.get(version)));
        }
    }
    return hashes;
}

} // namespace seedbed
