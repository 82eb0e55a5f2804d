#include "core/image/hash_pieces.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <thread>

#include <catch2/catch.hpp>
#include <libtorrent/hasher.hpp>

#include "core/device/file_block_device.hpp"
#include "support/device_bytes.hpp"
#include "support/fake_block_device.hpp"
#include "support/loop_device.hpp"

using namespace seedbed;
using seedbed::test::fake_block_device;
using operation = fake_block_device::operation;

namespace {

constexpr std::int64_t kib = 1 << 10;
constexpr std::int64_t mib = 1 << 20;

extent_map map_of(std::vector<extent> extents) {
    auto map = extent_map::make(std::move(extents));
    REQUIRE(map);
    return *map;
}

/// The expected digests: of the extents, joined and cut into pieces.
std::vector<sha1_digest> expected(std::vector<std::byte> const& device, extent_map const& extents,
                                  std::int64_t piece_length) {
    std::string stream;
    for (auto const& e : extents.extents()) {
        stream.append(reinterpret_cast<char const*>(device.data()) + e.device_offset,
                      static_cast<std::size_t>(e.length));
    }
    std::vector<sha1_digest> digests;
    for (std::size_t at = 0; at < stream.size(); at += static_cast<std::size_t>(piece_length)) {
        auto const piece = stream.substr(at, static_cast<std::size_t>(piece_length));
        auto const hash = lt::hasher(piece).final();
        std::copy_n(hash.data(), 20, digests.emplace_back().begin());
    }
    return digests;
}

hashing_options options(std::int64_t piece_length, int threads = 3) {
    hashing_options made;
    made.piece_length = static_cast<std::int32_t>(piece_length);
    made.profile = default_profile(storage_class::sata_ssd);
    made.threads = threads;
    return made;
}

std::vector<sha1_digest> digests(block_device& device, extent_map const& extents, hashing_options const& how) {
    auto made = hash_pieces(device, extents, how);
    INFO((made ? "" : made.error().message()));
    REQUIRE(made);
    REQUIRE(*made);
    return std::move(**made);
}

} // namespace

TEST_CASE("pieces run over the extents' bytes, whatever their length") {
    auto const size = 21 * mib + 123;
    auto const bytes = test::pattern(static_cast<std::size_t>(size), 1);
    fake_block_device device(size);
    device.set_contents(0, bytes);
    std::vector<extent> many{{7, 1}, {9, 5000}};
    for (std::int64_t at = mib; at + 3001 < 6 * mib; at += 9000) {
        many.push_back({at, 3001});
    }
    many.push_back({7 * mib, 14 * mib + 123});
    for (auto const& extents : {map_of({{0, size}}), map_of({{5 * mib + 1, 1}}), map_of(many)}) {
        for (auto const piece : {16 * kib, 256 * kib, mib, 4 * mib, 16 * mib}) {
            CAPTURE(extents.total_size(), piece);
            CHECK(digests(device, extents, options(piece)) == expected(bytes, extents, piece));
        }
    }
    auto const all = map_of({{0, size}});
    CHECK(digests(device, all, options(mib, 1)) == expected(bytes, all, mib));
    CHECK(digests(device, all, options(mib, 0)) == expected(bytes, all, mib));
}

TEST_CASE("an image is read once, from its beginning to its end, in large requests") {
    auto const size = 40 * mib;
    fake_block_device device(size);
    auto how = options(4 * mib);
    for (auto const cls : {storage_class::hdd, storage_class::nvme}) {
        how.profile = default_profile(cls);
        how.profile.threads = 1; // several threads take them in order, too, but begin them in any order
        device.clear_accesses();
        static_cast<void>(digests(device, map_of({{0, size}}), how));
        std::int64_t at = 0;
        for (auto const& read : device.accesses()) {
            CHECK(read.op == operation::read);
            CHECK(read.offset == at);
            CHECK(read.length >= mib);
            at += read.length;
        }
        CHECK(at == size);
    }
}

TEST_CASE("several requests are in flight, and memory is used only for the current pieces") {
    auto const size = 64 * mib;
    fake_block_device device(size);
    auto how = options(8 * mib, 2);
    std::thread work;
    {
        auto held = device.hold(operation::read);
        work = std::thread([&] { static_cast<void>(hash_pieces(device, map_of({{0, size}}), how)); });
        held.wait_until_waiting(4);
        CHECK(device.accesses().size() == 4);
    }
    work.join();
}

TEST_CASE("an error of a read names the first page that cannot be read") {
    auto const size = 20 * mib + 100;
    fake_block_device device(size, "/dev/broken");
    auto const extents = map_of({{100, size - 100}});
    device.fail(operation::read, EIO, 9 * mib + 12345, 1);
    auto const failed = hash_pieces(device, extents, options(mib));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == EIO);
    CHECK(failed.error().device == "/dev/broken");
    CHECK(failed.error().operation == io_operation::read);
    CHECK(failed.error().length <= 4096);
    CHECK(failed.error().offset <= 9 * mib + 12345);
    CHECK(failed.error().offset + failed.error().length > 9 * mib + 12345);

    // An error that does not recur is reported unchanged.
    device.clear_faults();
    device.fail(operation::read, ENOMEM, size - 1, 1, 1);
    auto const once = hash_pieces(device, extents, options(mib));
    REQUIRE_FALSE(once);
    CHECK(once.error().code == ENOMEM);
    CHECK(once.error().offset + once.error().length == size);
}

TEST_CASE("hashing ends soon when it is cancelled") {
    auto const size = 96 * mib;
    fake_block_device device(size);
    std::atomic<bool> cancelled{false};
    auto how = options(4 * mib);
    how.cancelled = &cancelled;
    result<std::optional<std::vector<sha1_digest>>, io_error> outcome;
    std::thread work;
    {
        auto held = device.hold(operation::read);
        work = std::thread([&] { outcome = hash_pieces(device, map_of({{0, size}}), how); });
        held.wait_until_waiting(1);
        cancelled = true;
    }
    work.join();
    REQUIRE(outcome);
    CHECK_FALSE(*outcome);
    CHECK(device.accesses().size() < 40); // of 96
}

TEST_CASE("hashing reports its progress") {
    auto const size = 40 * mib;
    fake_block_device device(size);
    auto how = options(mib, 1);
    std::vector<std::int64_t> told;
    how.progress = [&](std::int64_t bytes) { told.push_back(bytes); };
    static_cast<void>(digests(device, map_of({{0, size}}), how));
    REQUIRE_FALSE(told.empty());
    CHECK(std::ranges::is_sorted(told));
    CHECK(told.back() <= size);
}

TEST_CASE("a block device is read past the page cache, even if it does not end with a page") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    test::loop_device::options wanted;
    wanted.size = 9 * mib + 512;
    test::loop_device const loop(wanted);
    auto const bytes = test::pattern(static_cast<std::size_t>(wanted.size), 2);
    test::put_bytes(loop.path(), 0, bytes);
    device_requirements requirements;
    requirements.direct_io = true;
    auto const device = open_block_device(loop.path(), requirements);
    REQUIRE(device);
    auto const extents = map_of({{0, wanted.size}});
    CHECK(digests(**device, extents, options(mib)) == expected(bytes, extents, mib));
}
