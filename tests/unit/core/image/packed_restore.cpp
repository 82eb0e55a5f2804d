#include "core/image/packed_restore.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include <catch2/catch.hpp>

#include "support/fake_block_device.hpp"
#include "support/packed_sample.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::fake_block_device;

namespace {

constexpr std::int64_t mib = 1 << 20;

/// A packed image in a file, and a device full of something else.
struct fixture {
    test::temp_dir folder;
    packed_sample sample =
        make_packed_sample(mixed_bytes(12 * mib), {{0, 3 * mib}, {5 * mib, 512}, {7 * mib, 5 * mib}});
    packed_image image = sample.image();
    std::string path = (folder / "sda1.sbi").string();
    fake_block_device device{std::vector<std::byte>(12 * mib, std::byte{0xee})};
    restore_options options;

    fixture() { save(); }
    void save() const {
        std::ofstream(path, std::ios::binary)
            .write(reinterpret_cast<char const*>(sample.file.data()), static_cast<std::streamsize>(sample.file.size()));
    }
    [[nodiscard]] result<bool, restore_failure> restore() {
        auto const file = open_packed_file(path, image);
        REQUIRE(file);
        return write_packed(image, *file, device, options);
    }
    [[nodiscard]] std::vector<std::byte> expected() const {
        std::vector<std::byte> bytes(12 * mib, std::byte{0xee});
        for (auto const& each : sample.extents) {
            std::copy_n(sample.source.begin() + each.device_offset, each.length, bytes.begin() + each.device_offset);
        }
        return bytes;
    }
    [[nodiscard]] std::size_t first_byte_of(std::int32_t piece) const {
        return static_cast<std::size_t>((image.layout().begin_of(piece_index{piece}) - torrent_offset{}).value());
    }
};

} // namespace

TEST_CASE("a packed image is restored, byte for byte and durably") {
    fixture made;
    made.options.threads = GENERATE(1, 3);
    REQUIRE(made.image.piece_count() > 3);
    auto const restored = made.restore();
    REQUIRE(restored);
    CHECK(*restored);
    CHECK(made.device.medium(0, 12 * mib) == made.expected());
    CHECK(compare_packed(made.image, made.device, made.options).ok());
}

TEST_CASE("no part of a damaged piece is written") {
    fixture made;
    made.options.threads = 1;
    auto const piece = made.image.piece_count() - 1;
    made.sample.file[made.first_byte_of(piece) + 5000] ^= std::byte{1};
    made.save();
    auto const restored = made.restore();
    REQUIRE_FALSE(restored);
    CHECK(restored.error().what == restore_failure::cause::image);
    auto const begin = made.first_byte_of(piece);
    CHECK(restored.error().message == made.path + ": piece " + std::to_string(piece) + " (bytes " +
                                          std::to_string(begin) + " to " + std::to_string(made.sample.file.size()) +
                                          ") is damaged: its SHA-1 differs from that in the .torrent");
    for (auto const& chunk : made.image.index.chunks_of(piece_index{piece})) {
        auto const bytes = made.device.contents(chunk.offset.value(), chunk.raw_length);
        CHECK(std::ranges::all_of(bytes, [](std::byte each) { return each == std::byte{0xee}; }));
    }
}

TEST_CASE("a piece that is authentic but invalid is refused as a whole") {
    // Its SHA-1 and its table are right, but a payload was damaged before the hashes were made.
    auto sample = make_packed_sample(mixed_bytes(12 * mib), {{0, 12 * mib}});
    sample.file[1000 + (1 << 20)] ^= std::byte{1};
    hash_again(sample);
    fixture made;
    made.sample = sample;
    made.image = sample.image();
    made.save();
    auto const restored = made.restore();
    REQUIRE_FALSE(restored);
    CHECK_THAT(restored.error().message, Catch::StartsWith(made.path + ": piece 1: chunk "));
    for (auto const& chunk : made.image.index.chunks_of(piece_index{1})) {
        auto const bytes = made.device.contents(chunk.offset.value(), chunk.raw_length);
        CHECK(std::ranges::all_of(bytes, [](std::byte each) { return each == std::byte{0xee}; }));
    }
}

TEST_CASE("a device that cannot be written or flushed ends the restoration") {
    fixture made;
    SECTION("a write") {
        made.device.fail(fake_block_device::operation::write, EIO, 8 * mib, 512);
    }
    SECTION("the first flush") {
        made.device.fail(fake_block_device::operation::flush, EIO);
    }
    SECTION("zeros") {
        auto const chunks = made.image.index.chunks();
        auto const zeros = std::ranges::find(chunks, chunk_method::zero, &packed_chunk::method);
        REQUIRE(zeros != chunks.end());
        made.device.fail(fake_block_device::operation::write, ENOSPC, zeros->offset.value(), 512);
    }
    auto const restored = made.restore();
    REQUIRE_FALSE(restored);
    CHECK(restored.error().what == restore_failure::cause::device);
    CHECK_THAT(restored.error().message, Catch::Contains("fake"));
}

TEST_CASE("a restoration that is cancelled at once writes nothing") {
    fixture made;
    std::atomic<bool> const cancelled{true};
    made.options.cancelled = &cancelled;
    auto const restored = made.restore();
    REQUIRE(restored);
    CHECK_FALSE(*restored);
    CHECK(made.device.contents(0, 512) == std::vector<std::byte>(512, std::byte{0xee}));
    CHECK(compare_packed(made.image, made.device, made.options).cancelled);
}

TEST_CASE("one wrong byte on the medium is found, in the right chunk") {
    fixture made;
    REQUIRE(made.restore());
    auto const chunks = made.image.index.chunks();
    for (auto const number : {std::size_t{0}, chunks.size() / 2, chunks.size() - 1}) {
        auto const last = chunks[number].end().value() - 1;
        auto const right = made.device.medium(last, 1);
        std::vector<std::byte> const wrong{right[0] ^ std::byte{1}};
        made.device.set_medium(last, wrong);
        auto const found = compare_packed(made.image, made.device, made.options);
        CHECK(found.differing == std::vector<std::size_t>{number});
        CHECK_FALSE(found.ok());
        made.device.set_medium(last, right);
    }
    CHECK(compare_packed(made.image, made.device, made.options).ok());
    auto const outside = std::vector<std::byte>(512, std::byte{1});
    made.device.set_medium(4 * mib, outside); // not in the image
    CHECK(compare_packed(made.image, made.device, made.options).ok());
}

TEST_CASE("a device that cannot be read back is named") {
    fixture made;
    REQUIRE(made.restore());
    made.device.fail(fake_block_device::operation::read_medium, EIO, 8 * mib, 512);
    auto const found = compare_packed(made.image, made.device, made.options);
    REQUIRE(found.read_failed);
    CHECK(found.read_failed->code == EIO);
    CHECK_FALSE(found.ok());
}

TEST_CASE("a packed file of another size is refused") {
    fixture made;
    made.sample.file.pop_back();
    made.save();
    auto const file = open_packed_file(made.path, made.image);
    REQUIRE_FALSE(file);
    auto const size = made.sample.file.size();
    CHECK(file.error().message ==
          made.path + ": has " + std::to_string(size) + " bytes, its .torrent states " + std::to_string(size + 1));
    CHECK(open_packed_file("/nonexistent.sbi", made.image).error().message ==
          "/nonexistent.sbi: No such file or directory (ENOENT)");
    CHECK(open_packed_file("/dev/null", made.image).error().message == "/dev/null: not a regular file");
}

TEST_CASE("the chunks of partitions that have moved are written and compared where they are now") {
    fixture made;
    made.device.set_contents(0, std::vector<std::byte>(12 * mib, std::byte{0xee}));
    fake_block_device larger(std::vector<std::byte>(20 * mib, std::byte{0xee}));
    auto const placement = chunk_placement::make(made.image, {{0, 6 * mib, 0}, {7 * mib, 5 * mib, 8 * mib}});
    REQUIRE(placement);
    made.options.placement = *placement;
    auto const file = open_packed_file(made.path, made.image);
    REQUIRE(file);
    REQUIRE(write_packed(made.image, *file, larger, made.options));
    auto const expected = made.expected();
    auto const bytes = larger.medium(0, 20 * mib);
    CHECK(std::equal(bytes.begin(), bytes.begin() + 7 * mib, expected.begin()));
    CHECK(std::equal(bytes.begin() + 15 * mib, bytes.end(), expected.begin() + 7 * mib));
    CHECK(std::all_of(bytes.begin() + 7 * mib, bytes.begin() + 15 * mib,
                      [](std::byte each) { return each == std::byte{0xee}; }));
    CHECK(compare_packed(made.image, larger, made.options).ok());
    made.options.placement = {};
    CHECK_FALSE(compare_packed(made.image, larger, made.options).ok());
}

TEST_CASE("an image whose chunks lie outside its partitions is refused") {
    fixture const made;
    CHECK(chunk_placement::make(made.image, {{0, 12 * mib, 0}}));
    auto const refusal = [&](std::vector<moved_range> ranges) {
        auto const placement = chunk_placement::make(made.image, std::move(ranges));
        return placement ? "accepted" : placement.error().message;
    };
    CHECK_THAT(refusal({}), Catch::EndsWith(" lie in no partition of its layout"));
    CHECK_THAT(refusal({{512, 12 * mib, 0}}), Catch::StartsWith("the bytes 0 to "));
    CHECK(refusal({{0, 3 * mib, 0}, {7 * mib, 5 * mib, 0}}) ==
          "the bytes 5242880 to 5243392 lie in no partition of its layout");
    // In two: half in each.
    CHECK(refusal({{0, 3 * mib + 100, 0}, {5 * mib, 512, 0}, {7 * mib, 4 * mib + 512, 0}}) != "accepted");
}

TEST_CASE("fields that were corrected on purpose do not count as differences") {
    fixture made;
    REQUIRE(made.restore());
    auto const at = 5 * mib + 0x1c;
    std::array<std::byte, 4> original{};
    std::copy_n(made.sample.source.begin() + at, original.size(), original.begin());
    REQUIRE(made.device.write(at, std::vector<std::byte>{original[0] ^ std::byte{1}, original[1], original[2],
                                                         original[3] ^ std::byte{0x80}}));
    REQUIRE(made.device.flush());
    CHECK(compare_packed(made.image, made.device, made.options).differing.size() == 1);
    made.options.corrected = {{at, original}};
    CHECK(compare_packed(made.image, made.device, made.options).ok());
    made.options.corrected = {{at + 1, original}};
    CHECK_FALSE(compare_packed(made.image, made.device, made.options).ok());
}
