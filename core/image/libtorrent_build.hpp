#pragma once

#include <iterator>
#include <string>
#include <vector>

#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/sha1_hash.hpp>

#include "core/image/libtorrent_hash.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/torrent_details.hpp"

namespace seedbed {

/// The content of a v1 torrent without a date. Throws lt::system_error.
/// \param hashes one per piece. \param details all but the name.
[[nodiscard]] inline lt::entry build_torrent(lt::file_storage& files, std::vector<sha1_digest> const& hashes,
                                             torrent_details const& details) {
    lt::create_torrent torrent(files, details.piece_length, lt::create_torrent::v1_only);
    for (auto const piece : torrent.piece_range()) {
        torrent.set_hash(piece, lt::sha1_hash(hashes[static_cast<std::size_t>(static_cast<int>(piece))].data()));
    }
    torrent.set_creator(details.creator.c_str());
    if (!details.comment.empty()) {
        torrent.set_comment(details.comment.c_str());
    }
    torrent.set_creation_date(0); // omits the key
    torrent.set_priv(details.is_private);
    int tier = 0;
    for (auto const& url : details.trackers) {
        torrent.add_tracker(url, tier++);
    }
    for (auto const& url : details.web_seeds) {
        torrent.add_url_seed(url);
    }
    return torrent.generate();
}

/// Its bytes and its info-hash.
[[nodiscard]] inline torrent_bytes to_torrent_bytes(lt::entry const& root) {
    torrent_bytes made;
    lt::bencode(std::back_inserter(made.bytes), root);
    std::string info;
    lt::bencode(std::back_inserter(info), root["info"]);
    made.info_hash = to_info_hash(lt::hasher(info).final());
    return made;
}

} // namespace seedbed
