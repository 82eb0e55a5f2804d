#include "core/device/medium_reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "support/device_bytes.hpp"
#include "support/loop_device.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;

/// No bounce buffer fits such a sector, so a reader with it can only drop cached pages.
constexpr int sector_too_great_for_direct_io = 2 * mib;

using bytes = std::vector<std::byte>;

bytes part(bytes const& whole, std::int64_t offset, std::int64_t length) {
    return {whole.begin() + offset, whole.begin() + offset + length};
}

unique_fd open_file(std::string const& path, int flags = O_RDONLY) {
    unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    REQUIRE(fd);
    return fd;
}

bytes cached(int fd, std::int64_t offset, std::int64_t length) {
    bytes buffer(static_cast<std::size_t>(length));
    REQUIRE(::pread(fd, buffer.data(), buffer.size(), offset) == static_cast<ssize_t>(length));
    return buffer;
}

bytes from_medium(medium_reader& reader, std::int64_t offset, std::int64_t length) {
    bytes buffer(static_cast<std::size_t>(length));
    REQUIRE(reader.read(offset, buffer) == 0);
    return buffer;
}

/// Ranges around every edge: of a sector, a page, the bounce buffer of 1 MiB, and the end.
std::vector<std::pair<std::int64_t, std::int64_t>> ranges(std::int64_t size) {
    return {{0, 1},
            {0, 512},
            {0, 4096},
            {1, 1},
            {511, 2},
            {513, 4096},
            {4095, 2},
            {4096, 4096},
            {100, 10'000},
            {0, mib},
            {0, mib + 1},
            {1, mib},
            {mib - 1, 2},
            {4095, 2 * mib + 3},
            {0, size},
            {size - 1, 1},
            {size - 513, 513},
            {size - mib - 7, mib + 7},
            {size, 0}};
}

} // namespace

TEST_CASE("a medium reader reads any range of a block device with sectors of 512 or 4096 bytes") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const block_size = GENERATE(512U, 4096U);
    auto const direct = GENERATE(true, false);
    loop_device const device({.size = 4 * mib, .block_size = block_size});
    auto const contents = pattern(4 * mib, 1);
    put_bytes(device.path(), 0, contents);
    auto const fd = open_file(device.path());
    medium_reader reader(fd.get(), 4 * mib, direct ? static_cast<int>(block_size) : sector_too_great_for_direct_io);
    CHECK(reader.bypasses_cache() == direct);
    for (auto const& [offset, length] : ranges(4 * mib)) {
        INFO("offset " << offset << ", length " << length);
        CHECK((from_medium(reader, offset, length) == part(contents, offset, length)));
    }
    CHECK(reader.bypasses_cache() == direct); // no range disabled direct I/O
}

TEST_CASE("a medium reader reads any range of a regular file that ends within a sector") {
    temp_dir const folder;
    std::string const path = folder / "image";
    std::int64_t const size = 3 * mib + 777;
    auto const contents = pattern(size, 2);
    open_file(path, O_RDWR | O_CREAT);
    put_bytes(path, 0, contents);
    auto const fd = open_file(path);
    auto const sector = GENERATE(512, 4096, sector_too_great_for_direct_io);
    medium_reader reader(fd.get(), size, sector);
    for (auto const& [offset, length] : ranges(size)) {
        INFO("offset " << offset << ", length " << length);
        CHECK((from_medium(reader, offset, length) == part(contents, offset, length)));
    }
}

TEST_CASE("a medium reader sees the medium and not the page cache") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const direct = GENERATE(true, false);
    loop_device const device({.size = mib});
    auto const remembered = pattern(mib, 3);
    auto const on_medium = pattern(mib, 4);
    put_bytes(device.path(), 0, remembered);
    auto const fd = open_file(device.path());
    REQUIRE((cached(fd.get(), 0, mib) == remembered));

    // The disk changes beneath the page cache, as after a lost write.
    put_bytes(device.backing_file(), 0, on_medium);
    REQUIRE((cached(fd.get(), 0, mib) == remembered));

    medium_reader reader(fd.get(), mib, direct ? 512 : sector_too_great_for_direct_io);
    // The end comes last, whose pages the previous ranges have not touched.
    for (auto const& [offset, length] :
         {std::pair<std::int64_t, std::int64_t>{5000, 10}, {0, 4096}, {8191, 70'000}, {mib - 600, 600}}) {
        INFO("offset " << offset << ", length " << length << (direct ? ", direct" : ", dropping"));
        CHECK((from_medium(reader, offset, length) == part(on_medium, offset, length)));
    }
}

TEST_CASE("a medium reader sees flushed writes") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const direct = GENERATE(true, false);
    loop_device const device({.size = mib});
    auto const fd = open_file(device.path(), O_RDWR);
    medium_reader reader(fd.get(), mib, direct ? 512 : sector_too_great_for_direct_io);
    for (std::uint64_t seed = 10; seed < 13; ++seed) {
        auto const written = pattern(100'000, seed);
        REQUIRE(::pwrite(fd.get(), written.data(), written.size(), 12'345) == 100'000);
        REQUIRE(::fsync(fd.get()) == 0);
        CHECK((from_medium(reader, 12'345, 100'000) == written));
    }
}

TEST_CASE("a medium reader drops the cache after a refused direct read") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const device({.size = mib, .block_size = 4096});
    auto const remembered = pattern(mib, 5);
    auto const on_medium = pattern(mib, 6);
    put_bytes(device.path(), 0, remembered);
    auto const fd = open_file(device.path());
    REQUIRE((cached(fd.get(), 0, mib) == remembered));
    put_bytes(device.backing_file(), 0, on_medium);

    // With sectors that the device does not have, and an end within a sector: a request there is not a whole
    // sector.
    std::int64_t const size = 64 * kib + 512;
    medium_reader reader(fd.get(), size, 512);
    CHECK((from_medium(reader, 0, 4096) == part(on_medium, 0, 4096)));
    CHECK(reader.bypasses_cache());
    CHECK((from_medium(reader, size - 512, 512) == part(on_medium, size - 512, 512)));
    CHECK_FALSE(reader.bypasses_cache());
    CHECK((from_medium(reader, 8192, 4096) == part(on_medium, 8192, 4096)));
}

TEST_CASE("a medium reader refuses ranges that are not within the size") {
    temp_dir const folder;
    std::string const path = folder / "image";
    open_file(path, O_RDWR | O_CREAT);
    put_bytes(path, 0, pattern(100'000, 7));
    auto const fd = open_file(path);
    medium_reader reader(fd.get(), 90'000, 4096); // the file has grown since
    bytes buffer(10);
    CHECK(reader.read(-1, buffer) == EIO);
    CHECK(reader.read(89'991, buffer) == EIO);
    CHECK(reader.read(90'001, std::span<std::byte>()) == EIO);
    CHECK(reader.read(89'990, buffer) == 0);
}

TEST_CASE("a file that became shorter gives EIO, not old bytes") {
    auto const sector = GENERATE(4096, sector_too_great_for_direct_io);
    temp_dir const folder;
    std::string const path = folder / "image";
    open_file(path, O_RDWR | O_CREAT);
    put_bytes(path, 0, pattern(100'000, 8));
    auto const fd = open_file(path);
    medium_reader reader(fd.get(), 100'000, sector);
    REQUIRE(::truncate(path.c_str(), 50'000) == 0);
    bytes buffer(1000);
    CHECK(reader.read(49'500, buffer) == EIO);
    CHECK(reader.read(60'000, buffer) == EIO);
    CHECK(reader.read(40'000, buffer) == 0);
}

TEST_CASE("a medium reader keeps its file when the path names another one") {
    temp_dir const folder;
    std::string const path = folder / "image";
    auto const contents = pattern(10'000, 9);
    open_file(path, O_RDWR | O_CREAT);
    put_bytes(path, 0, contents);
    auto const fd = open_file(path);
    REQUIRE(::rename(path.c_str(), (folder / "renamed").c_str()) == 0);
    open_file(path, O_RDWR | O_CREAT);
    put_bytes(path, 0, pattern(10'000, 10));
    medium_reader reader(fd.get(), 10'000, 4096);
    CHECK((from_medium(reader, 0, 10'000) == contents));
}

TEST_CASE("threads that read at the same time get their own bytes") {
    temp_dir const folder;
    std::string const path = folder / "image";
    auto const contents = pattern(4 * mib, 11);
    open_file(path, O_RDWR | O_CREAT);
    put_bytes(path, 0, contents);
    auto const fd = open_file(path);
    medium_reader reader(fd.get(), 4 * mib, 4096);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            bytes buffer(200'001);
            for (std::int64_t i = 0; i < 20; ++i) {
                std::int64_t const offset = t * 999'983 + i * 10'007;
                if (reader.read(offset, buffer) != 0 || buffer != part(contents, offset, std::ssize(buffer))) {
                    ++wrong;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
}
