#include "daemon/swarm/torrent_trackers.hpp"

#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/backend/backend.hpp"

using namespace seedbed;
namespace lt = libtorrent;

namespace {

/// A torrent of one extent of two pieces, with made-up hashes.
image_torrent torrent_of(lt::create_flags_t flags) {
    lt::file_storage files;
    files.add_file("sda1/00001000", 20'000);
    lt::create_torrent torrent(files, 16'384, flags);
    if (!(flags & lt::create_torrent::v1_only)) {
        for (auto const piece : torrent.file_piece_range(lt::file_index_t(0))) {
            torrent.set_hash2(lt::file_index_t(0), piece, lt::sha256_hash(std::string(32, 'h').data()));
        }
    }
    if (!(flags & lt::create_torrent::v2_only)) {
        for (auto const piece : torrent.piece_range()) {
            torrent.set_hash(piece, lt::sha1_hash(std::string(20, 'h').data()));
        }
    }
    torrent.add_tracker("http://10.0.0.1:6969/announce");
    torrent.add_tracker("udp://10.0.0.2:1/announce", 1);
    std::string bytes;
    lt::bencode(std::back_inserter(bytes), torrent.generate());
    auto info = std::make_shared<lt::torrent_info>(bytes, lt::from_span);
    return {.name = "sda1",
            .info_hash = {},
            .piece_length = 16'384,
            .piece_count = 2,
            .v1 = info->info_hashes().has_v1(),
            .extents = extent_map::make({{0x1000, 20'000}}).value(),
            .traits = {},
            .info = info};
}

info_hash hash_of(std::string const& bytes) {
    return info_hash::from_bytes(bytes).value();
}

} // namespace

TEST_CASE("a v1 torrent is announced under its SHA-1") {
    auto const torrent = torrent_of(lt::create_torrent::v1_only);
    auto const v1 = hash_of(torrent.info->info_hashes().v1.to_string());
    CHECK(announced_hashes(torrent) == std::vector{v1});
    CHECK(backend::key_of(torrent) == v1);
}

TEST_CASE("a v2 torrent is announced under the first 20 bytes of its SHA-256") {
    auto const torrent = torrent_of(lt::create_torrent::v2_only);
    auto const v2 = hash_of(torrent.info->info_hashes().v2.to_string().substr(0, 20));
    CHECK(announced_hashes(torrent) == std::vector{v2});
    CHECK(backend::key_of(torrent) == v2);
}

TEST_CASE("a hybrid torrent is announced under both hashes, that of v1 first") {
    auto const torrent = torrent_of({});
    auto const& hashes = torrent.info->info_hashes();
    CHECK(announced_hashes(torrent) ==
          std::vector{hash_of(hashes.v1.to_string()), hash_of(hashes.v2.to_string().substr(0, 20))});
    CHECK(backend::key_of(torrent) == hash_of(hashes.v2.to_string().substr(0, 20)));
}

TEST_CASE("the announce URLs of a torrent come in its order") {
    CHECK(announce_urls(torrent_of(lt::create_torrent::v1_only)) ==
          std::vector<std::string>{"http://10.0.0.1:6969/announce", "udp://10.0.0.2:1/announce"});
}
