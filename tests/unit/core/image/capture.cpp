#include "core/image/capture.hpp"

#include <cerrno>
#include <filesystem>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/device/file_block_device.hpp"
#include "core/foundation/unique_fd.hpp"
#include "support/device_bytes.hpp"
#include "support/fake_block_device.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

constexpr std::int64_t kib = 1 << 10;
constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t tib = 1LL << 40;

/// An image file in its own folder.
class image_file {
public:
    explicit image_file(std::int64_t size) {
        unique_fd const fd(::open(path().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
        REQUIRE(fd);
        REQUIRE(::ftruncate(fd.get(), size) == 0);
    }
    [[nodiscard]] std::string path() const { return (m_folder / "disk.img").string(); }
    void put(std::int64_t offset, std::size_t length) const {
        test::put_bytes(path(), offset, test::pattern(length, static_cast<std::uint64_t>(offset)));
    }
    /// Makes the file appear old, so that the next write changes its time.
    void age() const {
        timespec const times[]{{1'000'000, 0}, {1'000'000, 0}};
        REQUIRE(::utimensat(AT_FDCWD, path().c_str(), times, 0) == 0);
    }
    [[nodiscard]] std::unique_ptr<block_device> open() const {
        auto device = open_block_device(path(), {});
        REQUIRE(device);
        return std::move(*device);
    }

private:
    test::temp_dir m_folder;
};

std::vector<extent> extents_of(block_device const& source, bool holes = false) {
    auto const map = find_raw_extents(source, holes);
    INFO((map ? "" : map.error().message));
    REQUIRE(map);
    return map->extents();
}

raw_capture_options small_pieces() {
    raw_capture_options how;
    how.hashing.piece_length = 256 * kib;
    how.hashing.profile = default_profile(storage_class::sata_ssd);
    return how;
}

} // namespace

TEST_CASE("the holes of a file are left out, in units of 1 MiB") {
    image_file const file(20 * mib + 1000);
    file.put(0, 1);
    file.put(5 * mib - 1, 2);
    file.put(9 * mib, 4096);
    file.put(10 * mib + 4096, 4096);
    file.put(20 * mib + 999, 1);
    auto const source = file.open();
    CHECK(extents_of(*source) ==
          std::vector<extent>{{0, mib}, {4 * mib, 2 * mib}, {9 * mib, 2 * mib}, {20 * mib, 1000}});
    CHECK(extents_of(*source, true) == std::vector<extent>{{0, 20 * mib + 1000}});
}

TEST_CASE("a file without holes is one extent, whatever its length") {
    image_file const file(3 * mib + 1);
    file.put(0, 3 * mib + 1);
    CHECK(extents_of(*file.open()) == std::vector<extent>{{0, 3 * mib + 1}});
}

TEST_CASE("a file of very many fragments has fewer and longer extents") {
    constexpr int fragments = 20'500;
    image_file const file(fragments * 3 * mib);
    unique_fd const fd(::open(file.path().c_str(), O_WRONLY | O_CLOEXEC));
    for (std::int64_t i = 0; i < fragments; ++i) {
        REQUIRE(::pwrite(fd.get(), "x", 1, i * 3 * mib) == 1);
    }
    auto const extents = extents_of(*file.open());
    CHECK(extents.size() == fragments / 2);
    for (std::size_t i = 0; i < extents.size(); ++i) {
        REQUIRE(extents[i] == extent{static_cast<std::int64_t>(i) * 6 * mib, 4 * mib});
    }
}

TEST_CASE("an empty source makes no image") {
    image_file const empty(0);
    image_file const holes(5 * mib);
    auto const none = capture_raw(*empty.open(), small_pieces());
    REQUIRE_FALSE(none);
    CHECK(none.error().message == empty.path() + ": is empty");
    CHECK(none.error().refused);
    auto const hollow = capture_raw(*holes.open(), small_pieces());
    REQUIRE_FALSE(hollow);
    CHECK(hollow.error().message == holes.path() + ": contains nothing but holes");
    CHECK(extents_of(*holes.open(), true) == std::vector<extent>{{0, 5 * mib}});
}

TEST_CASE("a very large source") {
    image_file const file(9 * tib + 5);
    auto const source = file.open();
    CHECK(extents_of(*source, true) == std::vector<extent>{{0, 4 * tib}, {4 * tib, 4 * tib}, {8 * tib, tib + 5}});
    auto how = small_pieces();
    how.holes = true;
    auto const refused = capture_raw(*source, how);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().refused);
    CHECK_THAT(refused.error().message, Catch::Contains(": 37748737 pieces are more than clients accept"));
}

TEST_CASE("a raw image of a file") {
    image_file const file(9 * mib + 77);
    file.put(2 * mib, 3 * mib);
    file.put(9 * mib, 77);
    auto how = small_pieces();
    std::int64_t total = 0;
    how.progress = [&](std::int64_t, std::int64_t all) { total = all; };
    auto const source = file.open();
    auto const image = capture_raw(*source, how);
    REQUIRE(image);
    REQUIRE(*image);
    CHECK((*image)->extents.extents() == std::vector<extent>{{2 * mib, 3 * mib}, {9 * mib, 77}});
    CHECK(total == 3 * mib + 77);
    auto const hashes = hash_pieces(*source, (*image)->extents, how.hashing);
    REQUIRE(hashes);
    CHECK((*image)->hashes == **hashes);
    CHECK((*image)->hashes.size() == 13);
}

TEST_CASE("a source that changes while it is read makes no image") {
    image_file const file(8 * mib);
    file.put(0, 8 * mib);
    bool done = false;
    auto how = small_pieces();
    auto const capture_while = [&](auto change) {
        file.age();
        done = false;
        how.progress = [&](std::int64_t, std::int64_t) {
            if (!std::exchange(done, true)) {
                change();
            }
        };
        auto image = capture_raw(*file.open(), how);
        REQUIRE(done);
        return image;
    };
    CHECK(capture_while([] {}));
    auto const expected = file.path() + ": was changed while it was being read";
    auto const written = capture_while([&] { file.put(100, 1); });
    REQUIRE_FALSE(written);
    CHECK(written.error().message == expected);
    CHECK_FALSE(written.error().refused);
    auto const grown = capture_while([&] { REQUIRE(::truncate(file.path().c_str(), 9 * mib) == 0); });
    REQUIRE_FALSE(grown);
    CHECK(grown.error().message == expected);
    auto const cut = capture_while([&] { REQUIRE(::truncate(file.path().c_str(), mib) == 0); });
    REQUIRE_FALSE(cut);
    CHECK(cut.error().message == expected);
}

TEST_CASE("a read that fails, and a capture that is cancelled") {
    test::fake_block_device device(3 * mib, "/dev/broken");
    device.fail(test::fake_block_device::operation::read, EIO, 2 * mib, 1);
    auto const failed = capture_raw(device, small_pieces());
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message == "read /dev/broken: offset 2097152, length 4096: Input/output error (EIO)");
    std::atomic<bool> const cancelled{true};
    auto how = small_pieces();
    how.hashing.cancelled = &cancelled;
    auto const ended = capture_raw(device, how);
    REQUIRE(ended);
    CHECK_FALSE(*ended);
}
