#include "core/image/image_torrent.hpp"

#include <chrono>
#include <fstream>
#include <iostream>
#include <iterator>

#include <malloc.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/image/libtorrent_hash.hpp"
#include "core/image/torrent_file.hpp"
#include "support/process_memory.hpp"
#include "support/temp_dir.hpp"

#include "bencoded_torrent.hpp"

using namespace seedbed;
using test::bencoded;
using test::v1_torrent;

namespace {

constexpr auto pad = extent::padding;
constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;
using list = std::vector<extent>;

class torrent_folder {
public:
    std::filesystem::path write(std::string const& bytes) const {
        auto path = m_folder / "x.torrent";
        std::ofstream(path, std::ios::binary) << bytes;
        return path;
    }

    image_torrent load(std::string const& bytes) const {
        auto torrent = load_image_torrent(write(bytes));
        INFO((torrent ? std::string() : torrent.error().message));
        REQUIRE(torrent);
        REQUIRE(torrent->info);
        CHECK(torrent->extents.total_size() == torrent->info->total_size());
        return *torrent;
    }

    /// The reason without the path, which must precede it.
    std::string refusal(std::string const& bytes, torrent_limits const& limits = {}) const {
        return reason(write(bytes), limits);
    }

    std::string reason(std::filesystem::path const& path, torrent_limits const& limits = {}) const {
        auto const torrent = load_image_torrent(path, limits);
        REQUIRE_FALSE(torrent);
        auto const prefix = path.string() + ": ";
        REQUIRE(torrent.error().message.starts_with(prefix));
        CHECK(torrent.error().message.find('\n') == std::string::npos);
        return torrent.error().message.substr(prefix.size());
    }

    std::filesystem::path path() const { return m_folder.path(); }

private:
    test::temp_dir m_folder;
};

std::string encode(lt::entry const& torrent) {
    std::string bytes;
    lt::bencode(std::back_inserter(bytes), torrent);
    return bytes;
}

/// Two extents of 40 and 20 KiB at 0x1000 and 0x100000 in pieces of 16 KiB, with made-up hashes.
lt::entry torrent_with_v2(lt::create_flags_t flags) {
    lt::file_storage files;
    files.add_file("sda1/00001000", 40 * kib);
    files.add_file("sda1/00100000", 20 * kib);
    lt::create_torrent torrent(files, 16 * kib, flags);
    for (auto const file : torrent.file_range()) {
        if (files.pad_file_at(file)) {
            continue;
        }
        for (auto const piece : torrent.file_piece_range(file)) {
            torrent.set_hash2(file, piece, lt::sha256_hash(std::string(32, 'h').data()));
        }
    }
    if (!(flags & lt::create_torrent::v2_only)) {
        for (auto const piece : torrent.piece_range()) {
            torrent.set_hash(piece, lt::sha1_hash(std::string(20, 'h').data()));
        }
    }
    return torrent.generate();
}

} // namespace

TEST_CASE("a torrent in the layout of EZIO and partclone") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.files = {{{"00000000000000000000000000000000"}, 4490240, {}},
                     {{"00000000000000000000000000800400"}, 264192, {}},
                     {{"00000000000000000000000001000400"}, 30 * mib, {}}};
    auto const image = folder.load(torrent.bytes());
    CHECK(image.name == "sda1");
    CHECK(image.piece_length == 16 * mib);
    CHECK(image.piece_count == 3);
    CHECK(image.extents.extents() == list{{0, 4490240}, {0x800400, 264192}, {0x1000400, 30 * mib}});
    list first_piece;
    image.extents.for_each_slice({}, 16 * mib, [&](extent const& slice) { first_piece.push_back(slice); });
    CHECK(first_piece == list{{0, 4490240}, {0x800400, 264192}, {0x1000400, 16 * mib - 4490240 - 264192}});
}

TEST_CASE("the info-hash is the SHA-1 of the info dictionary") {
    // Computed with sha1sum over "d5:filesld6:lengthi16384e4:pathl4:1000eee4:name4:sda112:piece
    // lengthi16384e6:pieces20:" and twenty 'h' and "e".
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.piece_length = 16 * kib;
    torrent.files = {{{"1000"}, 16 * kib, {}}};
    CHECK(folder.load(torrent.bytes()).info_hash.to_hex() == "ab570a0a81db96c18e47ee4b61f3b5bfd8288b63");
}

TEST_CASE("only the last component of a path is the offset") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.name = "vg";
    torrent.files = {{{"root", "1000"}, 512, {}}, {{"deeper", "root", "00002000"}, 512, {}}};
    auto const image = folder.load(torrent.bytes());
    CHECK(image.name == "vg");
    CHECK(image.extents.extents() == list{{0x1000, 512}, {0x2000, 512}});
}

TEST_CASE("any number of hex digits, in either case") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.files = {
        {{"0"}, 16, {}}, {{"aB"}, 16, {}}, {{std::string(230, '0') + "100"}, 16, {}}, {{"7ffffffffffffff0"}, 15, {}}};
    auto const image = folder.load(torrent.bytes());
    CHECK(image.extents.extents() == list{{0, 16}, {0xab, 16}, {0x100, 16}, {0x7ffffffffffffff0, 15}});
}

TEST_CASE("a torrent of a single file is named by its offset") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.name = "00000000000000000000000000100000";
    auto const image = folder.load("d4:info" + torrent.single_file_info(20 * mib) + "e");
    CHECK(image.extents.extents() == list{{1 << 20, 20 * mib}});
    CHECK(image.piece_count == 2);
    torrent.name = "sda1.img";
    CHECK(folder.refusal("d4:info" + torrent.single_file_info(20 * mib) + "e") ==
          "file name 'sda1.img' is not a device offset in hex");
}

TEST_CASE("files without bytes are skipped whatever their names") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.files = {{{"README"}, 0, {}}, {{"0"}, 512, {}}, {{"0"}, 0, {}}, {{"1000"}, 512, {}}};
    CHECK(folder.load(torrent.bytes()).extents.extents() == list{{0, 512}, {0x1000, 512}});
}

TEST_CASE("attributes other than padding change nothing") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.files = {{{"0"}, 512, "x"}, {{"1000"}, 512, "h"}};
    CHECK(folder.load(torrent.bytes()).extents.extents() == list{{0, 512}, {0x1000, 512}});
}

TEST_CASE("a v1 piece length need not be a power of 2") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.piece_length = 1000;
    torrent.files = {{{"0"}, 2500, {}}};
    auto const image = folder.load(torrent.bytes());
    CHECK(image.piece_length == 1000);
    CHECK(image.piece_count == 3);
}

TEST_CASE("pad files become padding") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.piece_length = 16 * kib;
    torrent.files = {{{"1000"}, 1000, {}},
                     {{".pad", "15384"}, 15384, "p"},
                     {{"8000"}, 500, {}},
                     {{".pad", "15884"}, 15884, "p"},
                     {{"c000"}, 1, {}}};
    auto const image = folder.load(torrent.bytes());
    CHECK(image.extents.extents() == list{{0x1000, 1000}, {pad, 15384}, {0x8000, 500}, {pad, 15884}, {0xc000, 1}});
    CHECK(image.extents.device_end() == 0xc001);
}

TEST_CASE("v2 and hybrid torrents") {
    torrent_folder const folder;
    // Each file starts with a piece, and libtorrent pads the last one too.
    list const extents{{0x1000, 40 * kib}, {pad, 8 * kib}, {0x100000, 20 * kib}, {pad, 12 * kib}};
    SECTION("v2 only") {
        auto const image = folder.load(encode(torrent_with_v2(lt::create_torrent::v2_only)));
        CHECK(image.extents.extents() == extents);
        CHECK(image.piece_count == 5);
        CHECK(image.info->info_hashes().has_v2());
        CHECK_FALSE(image.info->info_hashes().has_v1());
        CHECK(image.info_hash == to_info_hash(image.info->info_hashes().get(lt::protocol_version::V2)));
        CHECK(image.info_hash != info_hash{});
    }
    SECTION("hybrid") {
        auto const image = folder.load(encode(torrent_with_v2({})));
        CHECK(image.extents.extents() == extents);
        CHECK(image.info->info_hashes().has_v1());
        CHECK(image.info->info_hashes().has_v2());
        std::ostringstream v1;
        v1 << image.info->info_hashes().v1;
        CHECK(image.info_hash.to_hex() == v1.str());
    }
    SECTION("v2 only, one file") {
        lt::file_storage files;
        files.add_file("00100000", 20 * kib);
        lt::create_torrent torrent(files, 16 * kib, lt::create_torrent::v2_only);
        for (auto const piece : torrent.file_piece_range(lt::file_index_t(0))) {
            torrent.set_hash2(lt::file_index_t(0), piece, lt::sha256_hash(std::string(32, 'h').data()));
        }
        CHECK(folder.load(encode(torrent.generate())).extents.extents() == list{{0x100000, 20 * kib}, {pad, 12 * kib}});
    }
    SECTION("without piece layers, as from a magnet link") {
        for (auto const flags : {lt::create_torrent::v2_only, lt::create_flags_t{}}) {
            auto torrent = torrent_with_v2(flags);
            torrent.dict().erase("piece layers");
            CHECK(folder.refusal(encode(torrent)) == "a v2 torrent without piece layers");
            torrent["piece layers"] = lt::entry(lt::entry::dictionary_t);
            CHECK(folder.refusal(encode(torrent)) == "a v2 torrent without piece layers");
        }
    }
}

TEST_CASE("a damaged piece layer of a v2 or hybrid torrent") {
    torrent_folder const folder;
    for (auto const flags : {lt::create_torrent::v2_only, lt::create_flags_t{}}) {
        auto torrent = torrent_with_v2(flags);
        for (auto& [root, value] : torrent["piece layers"].dict()) {
            auto& layer = value.string();
            auto const whole = layer;
            auto const name = whole.size() == 3 * 32 ? "00001000" : "00100000";
            auto const damaged = "a v2 torrent whose piece layer of file '" + std::string(name) + "' is damaged";
            for (std::size_t at = 0; at < whole.size(); at += 31) {
                CAPTURE(at);
                layer[at] ^= 1;
                CHECK(folder.refusal(encode(torrent)) == damaged);
                layer = whole;
            }
            // libtorrent itself checks the length.
            for (auto const& other : {whole.substr(32), whole.substr(1), whole + std::string(32, 'h')}) {
                layer = other;
                CHECK(folder.refusal(encode(torrent)).starts_with("not a usable torrent: "));
                layer = whole;
            }
            CHECK(folder.load(encode(torrent)).piece_count == 5);
        }
    }
}

TEST_CASE("a piece layer of one file of a v2 torrent is missing") {
    torrent_folder const folder;
    for (auto const flags : {lt::create_torrent::v2_only, lt::create_flags_t{}}) {
        auto const whole = torrent_with_v2(flags);
        for (auto const& [root, layer] : whole["piece layers"].dict()) {
            auto torrent = whole;
            torrent["piece layers"].dict().erase(root);
            CHECK(folder.refusal(encode(torrent)) == "a v2 torrent without piece layers");
        }
    }
}

TEST_CASE("a v2 torrent whose files have one piece each needs no piece layer") {
    torrent_folder const folder;
    lt::file_storage files;
    files.add_file("sda1/00001000", 16 * kib);
    files.add_file("sda1/00100000", 1);
    lt::create_torrent torrent(files, 16 * kib, lt::create_torrent::v2_only);
    for (auto const file : {lt::file_index_t(0), lt::file_index_t(1)}) {
        torrent.set_hash2(file, lt::piece_index_t::diff_type(0), lt::sha256_hash(std::string(32, 'h').data()));
    }
    CHECK(folder.load(encode(torrent.generate())).piece_count == 2);
}

TEST_CASE("file names that are not offsets") {
    torrent_folder const folder;
    auto const refusal = [&](std::string const& name) {
        v1_torrent torrent;
        torrent.files = {{{"0"}, 512, {}}, {{name}, 512, {}}};
        return folder.refusal(torrent.bytes());
    };
    CHECK(refusal("disk.img") == "file name 'disk.img' is not a device offset in hex");
    CHECK(refusal("0x1000") == "file name '0x1000' is not a device offset in hex");
    CHECK(refusal("-1000") == "file name '-1000' is not a device offset in hex");
    CHECK(refusal(" 1000") == "file name ' 1000' is not a device offset in hex");
    CHECK(refusal("1000.1") == "file name '1000.1' is not a device offset in hex");
    CHECK(refusal("") == "file name '_' is not a device offset in hex");
    CHECK(refusal("8000000000000000") == "file name '8000000000000000' does not fit in 63 bits");
    CHECK(refusal("ffffffffffffffffffffffffffffffff") ==
          "file name 'ffffffffffffffffffffffffffffffff' does not fit in 63 bits");
    CHECK(refusal("7fffffffffffffff") == "extent 2 (offset 9223372036854775807, length 512) ends beyond 63 bits");
    // libtorrent would keep the first 240 digits: another offset.
    CHECK(refusal(std::string(250, '0') + "1000") ==
          "file name '" + std::string(64, '0') + "...' is too long for an offset");
    CHECK(refusal("1000\n\x1b[31m") == "file name '1000__[31m' is not a device offset in hex");
}

TEST_CASE("extents that do not make an image") {
    torrent_folder const folder;
    auto const refusal = [&](std::string const& first, std::string const& second) {
        v1_torrent torrent;
        torrent.files = {{{first}, 512, {}}, {{second}, 512, {}}};
        return folder.refusal(torrent.bytes());
    };
    CHECK(refusal("1000", "11ff") ==
          "extent 2 (offset 4607, length 512) overlaps the one before it, which ends at 4608");
    CHECK(refusal("1000", "0") == "extent 2 (offset 0, length 512) is out of order: the one before it starts at 4096");
    SECTION("names that libtorrent renames for being the same") {
        CHECK(refusal("1000", "1000") ==
              "extent 2 (offset 4096, length 512) overlaps the one before it, which ends at 4608");
        CHECK(refusal("100a", "100A") ==
              "extent 2 (offset 4106, length 512) overlaps the one before it, which ends at 4618");
    }
    SECTION("other spellings of the same offset") {
        CHECK(refusal("1000", "01000") ==
              "extent 2 (offset 4096, length 512) overlaps the one before it, which ends at 4608");
    }
    SECTION("padding only") {
        v1_torrent torrent;
        torrent.files = {{{".pad", "512"}, 512, "p"}};
        CHECK(folder.refusal(torrent.bytes()) == "no extent on the device");
    }
}

TEST_CASE("files that are not a torrent, or a truncated one") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.files = {{{"0"}, 512, {}}};
    auto const whole = torrent.bytes();
    CHECK(folder.refusal("") == "the file is empty");
    CHECK(folder.refusal("hello") ==
          "not a usable torrent: expected value (list, dict, int or string) in bencoded string");
    CHECK(folder.refusal(whole.substr(0, whole.size() - 10)) ==
          "not a usable torrent: unexpected end of file in bencoded string");
    CHECK(folder.refusal("i1e") == "not a usable torrent: torrent file is not a dictionary");
    CHECK(folder.refusal("magnet:?xt=urn:btih:0123456789012345678901234567890123456789") ==
          "a magnet link, which has no metadata");
    CHECK(folder.refusal("d10:magnet-uri" + bencoded("magnet:?xt=urn:btih:0123456789012345678901234567890123456789") +
                         "e") == "no metadata, only a magnet link");
    CHECK(folder.refusal("d8:announce10:http://x/ye") ==
          "not a usable torrent: missing or invalid 'info' section in torrent file");
    torrent.files.clear();
    CHECK(folder.refusal(torrent.bytes()) == "not a usable torrent: no files in torrent");
    torrent.files = {{{"0"}, 0, {}}};
    CHECK(folder.refusal(torrent.bytes()) == "not a usable torrent: invalid length of torrent");
    torrent.files = {{{"0"}, -512, {}}};
    torrent.piece_length = 0;
    CHECK(folder.refusal(torrent.bytes()) ==
          "not a usable torrent: invalid or missing 'piece length' entry in torrent file");
    torrent.piece_length = 16 * kib;
    CHECK(folder.refusal(torrent.bytes()) == "not a usable torrent: invalid length of torrent");
}

TEST_CASE("a file larger than its limits is refused") {
    torrent_folder const folder;
    v1_torrent torrent;
    torrent.piece_length = 16 * kib;
    torrent.files = {{{"0"}, 160 * kib, {}}};
    auto const bytes = torrent.bytes();
    auto const size = static_cast<std::int64_t>(bytes.size());
    folder.load(bytes);
    CHECK(load_image_torrent(folder.write(bytes), {.file_size = size, .tokens = 100, .pieces = 10}));
    CHECK(folder.refusal(bytes, {.file_size = size - 1}) ==
          std::to_string(size) + " bytes are more than the limit of " + std::to_string(size - 1) + " B");
    CHECK(folder.refusal(bytes, {.tokens = 10}) == "not a usable torrent: bencoded item count limit exceeded");
    CHECK(folder.refusal(bytes, {.pieces = 9}) == "not a usable torrent: too many pieces in torrent");
}

TEST_CASE("paths that are not regular files") {
    torrent_folder const folder;
    CHECK(folder.reason(folder.path() / "missing") == "No such file or directory (ENOENT)");
    CHECK(folder.reason(folder.path()) == "not a regular file");
    CHECK(folder.reason("/dev/null") == "not a regular file");
    auto const fifo = folder.path() / "fifo";
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(folder.reason(fifo) == "not a regular file");
}

TEST_CASE("more extents than libtorrent's default limits accept") {
    torrent_folder const folder;
    v1_torrent torrent;
    for (int i = 0; i < 200'000; ++i) {
        char name[33];
        REQUIRE(std::snprintf(name, sizeof(name), "%032x", i * 8192) == 32);
        torrent.files.push_back({{name}, 4096, {}});
    }
    auto const bytes = torrent.bytes();
    REQUIRE(bytes.size() > 10'000'000);
    auto const image = folder.load(bytes);
    CHECK(image.extents.extents().size() == 200'000);
    CHECK(image.extents.device_end() == 199'999LL * 8192 + 4096);
}

// test_image "[.bench]" prints the cost of loading; no assertion depends on the time.
TEST_CASE("loading 300,000 extents", "[.bench]") {
    torrent_folder const folder;
    constexpr int count = 300'000;
    auto const path = [&] {
        v1_torrent torrent;
        torrent.files.reserve(count);
        for (int i = 0; i < count; ++i) {
            char name[33];
            REQUIRE(std::snprintf(name, sizeof(name), "%032llx", i * 131072LL) == 32);
            torrent.files.push_back({{name}, 65536, {}});
        }
        return folder.write(torrent.bytes());
    }();
    ::malloc_trim(0);
    test::forget_peak_memory();
    auto const before = test::process_memory("VmRSS");
    auto const start = std::chrono::steady_clock::now();
    auto const image = load_image_torrent(path);
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
    auto const peak = test::process_memory("VmHWM");
    ::malloc_trim(0);
    REQUIRE(image);
    CHECK(image->extents.extents().size() == count);
    std::cout << count << " extents, " << std::filesystem::file_size(path) << " bytes of torrent: " << took.count()
              << " s, " << ((test::process_memory("VmRSS") - before) >> 20) << " MiB kept, " << ((peak - before) >> 20)
              << " MiB at the most\n";
}
