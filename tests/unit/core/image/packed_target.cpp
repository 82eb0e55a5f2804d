#include "core/image/packed_target.hpp"

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <random>
#include <thread>

#include <catch2/catch.hpp>

#include "core/foundation/block_size.hpp"
#include "support/fake_block_device.hpp"
#include "support/packed_sample.hpp"

using namespace seedbed;
using test::fake_block_device;
using operation = fake_block_device::operation;

namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::byte noise{0xee};

packed_sample partition_sample(int level = 1) {
    return make_packed_sample(mixed_bytes(28 * mib), {{0, 3 * mib}, {5 * mib, 512}, {7 * mib, 21 * mib}}, 1 << 20,
                              "sda1.sbi", {}, level);
}

/// A packed image and a target on a device full of something else.
struct fixture {
    explicit fixture(packed_target_options options = {}, packed_sample of = partition_sample())
        : sample(std::move(of))
        , image(std::make_shared<packed_image const>(sample.image()))
        , device(new fake_block_device(std::vector<std::byte>(36 * mib, noise), "sdb1"))
        , target(image, std::unique_ptr<block_device>(device), std::move(options)) {}

    /// The blocks of the packed file, in order.
    [[nodiscard]] std::vector<std::int64_t> blocks() const {
        std::vector<std::int64_t> all(static_cast<std::size_t>((target.size() + block_size - 1) / block_size));
        std::iota(all.begin(), all.end(), std::int64_t{0});
        return all;
    }
    [[nodiscard]] std::vector<std::int64_t> blocks_of(std::int32_t piece) const {
        auto all = blocks();
        std::erase_if(all, [&](std::int64_t block) { return block * block_size / mib != piece; });
        return all;
    }
    [[nodiscard]] std::span<std::byte const> bytes_of(std::int64_t block) const {
        auto const begin = block * block_size;
        return std::span(sample.file)
            .subspan(static_cast<std::size_t>(begin),
                     static_cast<std::size_t>(std::min<std::int64_t>(block_size, target.size() - begin)));
    }
    result<void, io_error> write(std::int64_t block) { return target.write(block * block_size, bytes_of(block)); }
    void write_all(std::vector<std::int64_t> const& which) {
        for (auto const block : which) {
            auto const written = write(block);
            INFO((written ? std::string() : written.error().message()));
            REQUIRE(written);
        }
    }
    [[nodiscard]] std::vector<std::byte> expected() const {
        std::vector<std::byte> bytes(36 * mib, noise);
        for (auto const& each : sample.extents) {
            std::copy_n(sample.source.begin() + each.device_offset, each.length, bytes.begin() + each.device_offset);
        }
        return bytes;
    }
    [[nodiscard]] bool is_untouched(std::int32_t piece) const {
        return std::ranges::all_of(image->index.chunks_of(piece_index{piece}), [this](packed_chunk const& chunk) {
            auto const bytes = device->contents(chunk.offset.value(), chunk.raw_length);
            return std::ranges::all_of(bytes, [](std::byte each) { return each == noise; });
        });
    }
    /// Reads a piece in blocks and compares it with the packed file.
    [[nodiscard]] bool gives(std::int32_t piece) {
        for (auto const block : blocks_of(piece)) {
            std::vector<std::byte> bytes(bytes_of(block).size());
            if (!target.read(block * block_size, std::span(bytes)) || !std::ranges::equal(bytes, bytes_of(block))) {
                return false;
            }
        }
        return true;
    }
    [[nodiscard]] std::vector<std::int32_t> withdrawn() const {
        std::vector<std::int32_t> pieces;
        for (std::int32_t piece = 0; piece < image->piece_count(); ++piece) {
            if (target.withdrawn()->contains(piece_index{piece})) {
                pieces.push_back(piece);
            }
        }
        CHECK(target.withdrawn()->any() != pieces.empty());
        return pieces;
    }
    [[nodiscard]] std::optional<bool> matches(std::int32_t piece) {
        std::atomic<bool> const cancelled{false};
        auto const found = target.matches(piece_index{piece}, cancelled);
        REQUIRE(found);
        return *found;
    }

    packed_sample sample;
    std::shared_ptr<packed_image const> image;
    fake_block_device* device; ///< the target's
    packed_target target;
};

packed_target_options little_memory() {
    packed_target_options options;
    options.memory = 0; // the target keeps four pieces
    return options;
}

} // namespace

TEST_CASE("blocks of a packed file that arrive in any order are unpacked to the device") {
    fixture made;
    REQUIRE(made.image->piece_count() >= 5);
    auto order = made.blocks();
    auto const seed = GENERATE(0U, 1U, 2U, 3U);
    if (seed > 0) {
        std::shuffle(order.begin(), order.end(), std::mt19937(seed));
    }
    made.write_all(order);
    CHECK(made.device->contents(0, 36 * mib) == made.expected());
    CHECK(made.target.bytes_written() == made.image->index.used().value());
    for (std::int32_t piece = 0; piece < made.image->piece_count(); ++piece) {
        CHECK(made.matches(piece) == false); // not flushed
        CHECK(made.gives(piece));
    }
    REQUIRE(made.target.flush());
    for (std::int32_t piece = 0; piece < made.image->piece_count(); ++piece) {
        CHECK(made.matches(piece) == true);
    }
    CHECK(made.device->overlaps() == 0);
}

TEST_CASE("nothing is written before a piece is complete") {
    fixture made;
    auto const last = made.image->piece_count() - 1; // shorter than the others
    for (auto const piece : {std::int32_t{0}, last}) {
        auto blocks = made.blocks_of(piece);
        auto const missing = blocks[blocks.size() / 2];
        std::erase(blocks, missing);
        made.write_all(blocks);
        CHECK(made.is_untouched(piece));
        made.write_all(blocks); // again: the backend may write a block twice
        CHECK(made.is_untouched(piece));
        made.write_all({missing});
        CHECK_FALSE(made.is_untouched(piece));
    }
}

TEST_CASE("several blocks may be written at once, across pieces and from several ranges of memory") {
    fixture made;
    std::vector<iovec> memory;
    for (auto const block : made.blocks()) {
        auto const bytes = made.bytes_of(block);
        memory.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
    }
    REQUIRE(made.target.write(0, memory));
    CHECK(made.device->contents(0, 36 * mib) == made.expected());
    std::vector<std::byte> bytes(made.sample.file.size());
    iovec const halves[] = {{bytes.data(), 1000}, {bytes.data() + 1000, bytes.size() - 1000}};
    REQUIRE(made.target.read(0, halves));
    CHECK(bytes == made.sample.file);
}

TEST_CASE("no part of a piece with a wrong SHA-1 is written, and it can arrive again") {
    fixture made;
    auto const good = made.sample.file;
    made.sample.file[2 * mib + 5000] ^= std::byte{1};
    made.write_all(made.blocks_of(2)); // the write succeeds
    CHECK(made.is_untouched(2));
    CHECK(made.target.held_bytes() == 0);
    std::vector<std::byte> bytes(block_size, noise);
    REQUIRE(made.target.read(2 * mib, std::span(bytes))); // libtorrent hashes it: it must not match by accident
    CHECK(bytes == std::vector<std::byte>(block_size));
    CHECK(made.withdrawn().empty());

    made.sample.file = good;
    made.write_all(made.blocks_of(2));
    CHECK_FALSE(made.is_untouched(2));
    CHECK(made.gives(2));
}

TEST_CASE("a piece that is authentic but invalid is an error, and no part of it is written") {
    auto sample = partition_sample();
    std::string reason;
    SECTION("its table") {
        sample.file[mib + 40] ^= std::byte{1};
        reason = "write sdb1: piece 1: ";
    }
    SECTION("a payload") {
        sample.file[mib + 5000] ^= std::byte{1};
        reason = "write sdb1: piece 1: chunk ";
    }
    hash_again(sample);
    fixture made({}, sample);
    auto blocks = made.blocks_of(1);
    auto const last = blocks.back();
    blocks.pop_back();
    made.write_all(blocks);
    auto const written = made.write(last);
    REQUIRE_FALSE(written);
    CHECK_THAT(written.error().message(), Catch::StartsWith(reason));
    CHECK_THAT(written.error().message(), Catch::EndsWith("; no part of this piece was written"));
    CHECK(written.error().code == piece_refused);
    CHECK(made.is_untouched(1));
    CHECK_FALSE(made.write(last)); // again
}

TEST_CASE("an error of the device is that of the write, and the piece can be completed again") {
    fixture made;
    auto const chunk = made.image->index.chunks_of(piece_index{1}).front();
    made.device->fail(operation::write, EIO, chunk.offset.value(), 512, 1);
    auto blocks = made.blocks_of(1);
    auto const last = blocks.back();
    blocks.pop_back();
    made.write_all(blocks);
    auto const written = made.write(last);
    REQUIRE_FALSE(written);
    CHECK(written.error().device == "sdb1");
    CHECK(written.error().code == EIO);
    CHECK(written.error().offset <= chunk.offset.value());
    made.write_all({last});
    REQUIRE(made.target.flush());
    CHECK(made.matches(1) == true);
}

TEST_CASE("the oldest pieces are evicted, and rebuilt from the device") {
    auto const level = GENERATE(1, 3);
    fixture made(little_memory(), partition_sample(level));
    made.write_all(made.blocks());
    CHECK(made.target.held_bytes() <= 4 * mib);
    made.device->clear_accesses();
    auto const last = made.image->piece_count() - 1;
    CHECK(made.gives(last));
    CHECK(made.device->accesses(operation::read).empty());
    CHECK(made.gives(0));
    auto const reads = made.device->accesses(operation::read).size();
    CHECK(reads > 0);
    CHECK(made.gives(0)); // from memory now
    CHECK(made.device->accesses(operation::read).size() == reads);
    for (std::int32_t piece = 0; piece <= last; ++piece) {
        CHECK(made.gives(piece));
        CHECK(made.target.held_bytes() <= 4 * mib);
    }
    CHECK(made.withdrawn().empty());
}

TEST_CASE("pieces that peers have requested leave the memory last, and may take some more of it") {
    fixture made(little_memory());
    auto const& supply = *made.target.supply();
    auto const in_memory = [&] {
        std::vector<std::int32_t> pieces;
        for (std::int32_t piece = 0; piece < made.image->piece_count(); ++piece) {
            if (supply.at_hand(piece_index{piece})) {
                pieces.push_back(piece);
            }
        }
        return pieces;
    };
    auto const write_pieces = [&](std::int32_t begin, std::int32_t end) {
        for (auto piece = begin; piece < end; ++piece) {
            made.write_all(made.blocks_of(piece));
        }
    };
    REQUIRE(made.image->piece_count() >= 12);
    write_pieces(0, 4);
    CHECK(in_memory() == std::vector{0, 1, 2, 3});
    made.target.supply()->begin_request(piece_index{0});
    made.target.supply()->begin_request(piece_index{2});
    write_pieces(4, 6);
    CHECK(in_memory() == std::vector{0, 2, 4, 5});
    for (auto const piece : {4, 5, 6, 7, 8, 9, 10}) {
        made.target.supply()->begin_request(piece_index{piece});
        if (piece > 5) {
            write_pieces(piece, piece + 1);
        }
    }
    CHECK(in_memory() == std::vector{2, 4, 5, 6, 7, 8, 9, 10}); // twice the least that is kept
    CHECK(made.target.held_bytes() <= 8 * mib);
    for (auto const piece : {2, 4, 5, 6, 7}) {
        made.target.supply()->end_requests(piece_index{piece}, 1);
    }
    write_pieces(11, 12);
    CHECK(in_memory() == std::vector{8, 9, 10, 11});
}

TEST_CASE("a rebuilt piece is at hand until something else has written to the device") {
    fixture made(little_memory());
    auto const& supply = *made.target.supply();
    made.write_all(made.blocks());
    auto const last = made.image->piece_count() - 1;
    CHECK(supply.at_hand(piece_index{last}));
    CHECK_FALSE(supply.at_hand(piece_index{0}));
    CHECK(made.gives(0));
    made.write_all(made.blocks()); // until it is evicted
    CHECK(supply.at_hand(piece_index{0}));
    made.target.device_may_have_changed();
    CHECK_FALSE(supply.at_hand(piece_index{0}));
    CHECK(supply.at_hand(piece_index{last}));
    made.device->set_contents(made.image->index.chunks_of(piece_index{0}).front().offset.value(),
                              std::vector<std::byte>(512, std::byte{1}));
    CHECK_FALSE(made.gives(0));
    CHECK_FALSE(supply.at_hand(piece_index{0}));
}

TEST_CASE("the SHA-1 of a piece is there once when its last block has arrived, before anything is written") {
    fixture made;
    auto const piece = piece_index{1};
    auto blocks = made.blocks_of(1);
    auto const last = blocks.back();
    blocks.pop_back();
    int calls = 0;
    made.target.when_sha1(piece, [&] {
        ++calls;
        CHECK(made.is_untouched(1));
    });
    made.target.when_sha1(piece_index{2}, [] { FAIL("not of this piece"); });
    made.write_all(blocks);
    CHECK(calls == 0);
    CHECK_FALSE(made.target.take_sha1(piece));
    made.write_all({last});
    CHECK(calls == 1);
    CHECK_FALSE(made.is_untouched(1));
    made.target.when_sha1(piece, [&] { ++calls; }); // at once
    CHECK(calls == 2);
    CHECK(made.target.take_sha1(piece) == made.image->hash_of(piece));
    CHECK_FALSE(made.target.take_sha1(piece));

    SECTION("a wrong one, too") {
        made.sample.file[2 * mib + 5000] ^= std::byte{1};
        made.target.expect_sha1(piece_index{3});
        fixture other({}, made.sample);
        other.write_all(other.blocks_of(2));
        auto const wrong = other.target.take_sha1(piece_index{2});
        REQUIRE(wrong);
        CHECK(*wrong != made.image->hash_of(piece_index{2}));
    }
    SECTION("until the piece is written again") {
        made.write_all(made.blocks_of(3));
        made.target.expect_sha1(piece);
        made.target.expect_sha1(piece_index{3});
        CHECK_FALSE(made.target.take_sha1(piece_index{3}));
    }
    SECTION("until writes have failed") {
        made.write_all(made.blocks_of(3));
        made.target.forget_sha1s();
        CHECK_FALSE(made.target.take_sha1(piece_index{3}));
    }
}

TEST_CASE("if zstd makes other frames than those of the image, all pieces that leave the memory are withdrawn") {
    auto sample = partition_sample(12);
    auto about = sample.image().description;
    CHECK(about.level == 12);
    auto const image = sample.image();
    std::vector<sha1_digest> hashes;
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        hashes.push_back(image.hash_of(piece_index{piece}));
    }
    about.level = 0;
    torrent_details details;
    details.name = image.name;
    details.piece_length = image.geometry.piece_length;
    auto const torrent = make_packed_torrent(image.packed_size, hashes, about, image.index, details);
    REQUIRE(torrent);
    sample.torrent = *torrent;
    fixture made(little_memory(), sample);
    made.write_all(made.blocks());
    CHECK(made.withdrawn().empty()); // no evicted piece has been requested
    CHECK_FALSE(made.gives(0));
    // In memory: the last four, without the one that gave way to the attempt to rebuild piece 0.
    auto const oldest = image.piece_count() - 3;
    std::vector<std::int32_t> gone(static_cast<std::size_t>(oldest));
    std::iota(gone.begin(), gone.end(), 0);
    CHECK(made.withdrawn() == gone);
    made.device->clear_accesses();
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        CHECK(made.gives(piece) == (piece >= oldest));
    }
    CHECK(made.device->accesses(operation::read).empty());
    made.write_all(made.blocks_of(0));
    made.write_all(made.blocks_of(1)); // for which there is no room
    gone.erase(gone.begin(), gone.begin() + 2);
    gone.push_back(oldest);
    CHECK(made.withdrawn() == gone);
    CHECK(made.gives(0));
    CHECK(made.gives(1));
    // One that peers have requested is withdrawn, but stays until they have been sent it.
    made.target.supply()->begin_request(piece_index{oldest + 1});
    made.target.supply()->begin_request(piece_index{oldest + 2});
    made.target.supply()->begin_request(piece_index{0});
    made.target.supply()->begin_request(piece_index{1});
    made.write_all(made.blocks_of(2));
    CHECK(made.target.withdrawn()->contains(piece_index{oldest + 1}));
    CHECK(made.gives(oldest + 1));
    made.target.supply()->end_requests(piece_index{oldest + 1}, 1);
    made.write_all(made.blocks_of(3));
    CHECK_FALSE(made.gives(oldest + 1));
}

TEST_CASE("who looks at the pieces that are withdrawn sees one that was written meanwhile and has left again") {
    withdrawn_pieces pieces(3);
    CHECK_FALSE(pieces.any());
    pieces.add(piece_index{1});
    pieces.add(piece_index{1});
    CHECK(pieces.changes() == 1);
    auto const seen = pieces.changes_of(piece_index{1});
    CHECK(withdrawn_pieces::is_withdrawn(seen));
    pieces.remove(piece_index{1});
    pieces.remove(piece_index{1});
    CHECK_FALSE(pieces.any());
    CHECK_FALSE(pieces.contains(piece_index{1}));
    pieces.add(piece_index{1});
    CHECK(pieces.changes_of(piece_index{1}) != seen);
    CHECK(pieces.contains(piece_index{1}));
    CHECK(pieces.changes() == 3);
    CHECK_FALSE(pieces.contains(piece_index{2}));
}

TEST_CASE("a piece whose bytes on the device have changed is withdrawn until it is written again") {
    fixture made(little_memory());
    made.write_all(made.blocks());
    auto const offset = made.image->index.chunks_of(piece_index{1}).front().offset.value();
    made.device->set_contents(offset, std::vector<std::byte>(512, std::byte{1}));
    std::vector<std::byte> bytes(block_size);
    for (int i = 0; i < 2; ++i) {
        auto const read = made.target.read(mib, std::span(bytes));
        REQUIRE_FALSE(read);
        CHECK(read.error().code == piece_withdrawn);
        CHECK(read.error().message() == "read sdb1: piece 1: cannot be rebuilt from the device");
    }
    CHECK(made.withdrawn() == std::vector{1});
    CHECK(made.gives(2));
    made.write_all(made.blocks_of(1));
    CHECK(made.withdrawn().empty());
    CHECK(made.gives(1));
    made.write_all(made.blocks()); // until it is evicted
    CHECK(made.gives(1));
}

TEST_CASE("a device that cannot be read is no reason to withdraw a piece") {
    fixture made(little_memory());
    made.write_all(made.blocks());
    auto const offset = made.image->index.chunks_of(piece_index{0}).front().offset.value();
    made.device->fail(operation::read, EIO, offset, 512, 1);
    std::vector<std::byte> bytes(block_size);
    auto const read = made.target.read(0, std::span(bytes));
    REQUIRE_FALSE(read);
    CHECK(read.error().code == EIO);
    CHECK(made.withdrawn().empty());
    CHECK(made.gives(0));
}

TEST_CASE("read_medium() gives what a flush has made durable") {
    fixture made;
    made.write_all(made.blocks());
    std::vector<std::byte> bytes(made.sample.file.size());
    CHECK_FALSE(made.target.read_medium(0, std::span(bytes)));
    REQUIRE(made.target.flush());
    REQUIRE(made.target.read_medium(0, std::span(bytes)));
    CHECK(bytes == made.sample.file);
}

TEST_CASE("a piece matches only if the medium holds all of its chunks") {
    fixture made;
    made.write_all(made.blocks());
    REQUIRE(made.target.flush());
    for (std::int32_t piece = 0; piece < made.image->piece_count(); ++piece) {
        for (auto const& chunk : made.image->index.chunks_of(piece_index{piece})) {
            auto const at = chunk.end().value() - 1;
            auto const right = made.device->medium(at, 1);
            made.device->set_medium(at, std::vector{right[0] ^ std::byte{1}});
            CHECK(made.matches(piece) == false);
            made.device->set_medium(at, right);
        }
        CHECK(made.matches(piece) == true);
    }
    std::atomic<bool> const cancelled{true};
    CHECK(made.target.matches(piece_index{0}, cancelled) == std::nullopt);
    made.device->fail(operation::read_medium, EIO);
    std::atomic<bool> const going{false};
    CHECK_FALSE(made.target.matches(piece_index{0}, going));
}

TEST_CASE("chunks of partitions that have moved are written, read and compared where they are now") {
    auto options = little_memory();
    auto const sample = partition_sample();
    auto const placement = chunk_placement::make(sample.image(), {{0, 6 * mib, 0}, {7 * mib, 21 * mib, 8 * mib}});
    REQUIRE(placement);
    options.placement = *placement;
    fixture made(options, sample);
    made.write_all(made.blocks());
    auto const expected = made.expected();
    auto const bytes = made.device->contents(0, 36 * mib);
    CHECK(std::equal(bytes.begin(), bytes.begin() + 7 * mib, expected.begin()));
    CHECK(std::equal(bytes.begin() + 15 * mib, bytes.end(), expected.begin() + 7 * mib));
    for (std::int32_t piece = 0; piece < made.image->piece_count(); ++piece) {
        CHECK(made.gives(piece));
    }
    REQUIRE(made.target.flush());
    CHECK(made.matches(0) == true);
    auto const extents = made.target.extents();
    REQUIRE(extents);
    CHECK(std::ranges::equal(extents->extents(),
                             std::vector<extent>{{0, 3 * mib}, {5 * mib, 512}, {15 * mib, 21 * mib}}));
}

TEST_CASE("transfers beyond the end and parts of blocks are refused") {
    fixture made;
    std::vector<std::byte> bytes(block_size);
    CHECK(made.target.read(made.target.size(), std::span(bytes)).error().code == EINVAL);
    CHECK(made.target.write(-block_size, std::span<std::byte const>(bytes)).error().code == EINVAL);
    CHECK(made.target.read_medium(made.target.size() - 1, std::span(bytes)).error().code == EINVAL);
    CHECK(made.target.write(512, std::span<std::byte const>(bytes)).error().code == EINVAL);
    CHECK(made.target.write(0, std::span<std::byte const>(bytes).first(512)).error().code == EINVAL);
}

TEST_CASE("many threads write and read pieces of a packed target at a time") {
    auto options = little_memory();
    options.threads = 3;
    fixture made(options, make_packed_sample(mixed_bytes(36 * mib), {{0, 36 * mib}}));
    auto order = made.blocks();
    std::shuffle(order.begin(), order.end(), std::mt19937(5));
    constexpr std::size_t writers = 4;
    std::vector<std::jthread> threads;
    std::atomic<int> failures{0};
    std::atomic<int> done{0};
    for (std::size_t first = 0; first < writers; ++first) {
        threads.emplace_back([&, first] {
            for (auto at = first; at < order.size(); at += writers) {
                failures += made.write(order[at]) ? 0 : 1;
            }
            ++done;
            // All others may still be writing: only what is complete is read.
            while (done < static_cast<int>(writers)) {
                std::this_thread::yield();
            }
            for (int round = 0; round < 2; ++round) {
                for (std::int32_t piece = 0; piece < made.image->piece_count(); ++piece) {
                    failures += made.gives(piece) ? 0 : 1;
                }
            }
        });
    }
    threads.clear();
    CHECK(failures == 0);
    CHECK(made.device->contents(0, 36 * mib) == made.sample.source);
    CHECK(made.withdrawn().empty());
}
