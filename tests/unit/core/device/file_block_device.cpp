#include "core/device/file_block_device.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "support/device_bytes.hpp"
#include "support/failing_system_call.hpp"
#include "support/loop_device.hpp"

using namespace seedbed;
using namespace seedbed::test;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;

using bytes = std::vector<std::byte>;

std::unique_ptr<block_device> open_or_fail(std::string const& path, device_requirements const& requirements) {
    auto device = open_block_device(path, requirements);
    INFO((device ? std::string("opened") : device.error().message));
    REQUIRE(device);
    return std::move(*device);
}

std::string new_file(fs::path const& path, bytes const& contents) {
    unique_fd const fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    REQUIRE(fd);
    put_bytes(path, 0, contents);
    return path;
}

/// The flags of every descriptor that this process has open on \p path.
std::vector<int> open_flags(std::string const& path) {
    std::vector<int> found;
    for (auto const& entry : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone; // the listing's own descriptor is closed by then
        if (fs::read_symlink(entry.path(), gone) != path || gone) {
            continue;
        }
        std::ifstream in("/proc/self/fdinfo/" + entry.path().filename().string());
        for (std::string key; in >> key;) {
            if (key == "flags:") {
                int flags = 0;
                in >> std::oct >> flags;
                found.push_back(flags);
                break;
            }
        }
    }
    return found;
}

/// The sectors written to a device since its creation.
std::int64_t sectors_written(std::string const& device) {
    std::ifstream in("/sys/class/block/" + fs::path(device).filename().string() + "/stat");
    std::int64_t field = 0;
    for (int i = 0; i < 7; ++i) { // Documentation/block/stat.rst: the seventh is write sectors
        REQUIRE(in >> field);
    }
    return field;
}

} // namespace

TEST_CASE("a deploy device returns written data, at any offset") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const block_size = GENERATE(512U, 4096U);
    loop_device const loop({.size = 4 * mib, .block_size = block_size});
    auto const device = open_or_fail(loop.path(), {.writable = true, .min_size = 4 * mib});
    CHECK(device->path() == loop.path());
    CHECK(device->size() == 4 * mib);
    CHECK_FALSE(device->read_only());

    bytes expected(4 * mib);
    for (std::int64_t const offset : {std::int64_t{0}, std::int64_t{1}, 4095 * kib + 3, 100'001L, 2 * mib - 7}) {
        auto const written = pattern(1000, static_cast<std::uint64_t>(offset));
        REQUIRE(device->write(offset, written));
        std::ranges::copy(written, expected.begin() + offset);
        bytes buffer(1000);
        REQUIRE(device->read(offset, buffer));
        CHECK((buffer == written));
    }
    REQUIRE(device->flush());
    CHECK((all_bytes(loop.backing_file()) == expected));
    bytes medium(4 * mib);
    REQUIRE(device->read_medium(0, medium));
    CHECK((medium == expected));
}

TEST_CASE("flush makes data in the page cache durable") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    auto const before = sectors_written(loop.path());
    REQUIRE(device->write(0, pattern(64 * kib, 1)));
    REQUIRE(device->flush());
    CHECK(sectors_written(loop.path()) - before == 128);
    CHECK((get_bytes(loop.backing_file(), 0, 64 * kib) == pattern(64 * kib, 1)));
}

TEST_CASE("a seed device is opened read-only and refuses writes") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    put_bytes(loop.path(), 0, pattern(mib, 2));
    auto const device = open_or_fail(loop.path(), {});
    CHECK(device->read_only());
    auto const flags = open_flags(loop.path());
    REQUIRE_FALSE(flags.empty());
    for (int const of_one : flags) {
        CHECK((of_one & O_ACCMODE) == O_RDONLY);
        CHECK((of_one & O_CLOEXEC) != 0);
    }

    auto const written = device->write(0, pattern(1000, 3));
    REQUIRE_FALSE(written);
    CHECK(written.error().code == EROFS);
    CHECK((all_bytes(loop.path()) == pattern(mib, 2)));
    bytes buffer(1000);
    CHECK(device->read(5, buffer));
}

TEST_CASE("a deploy device is open for writing") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    int writable = 0;
    for (int const flags : open_flags(loop.path())) {
        writable += (flags & O_ACCMODE) == O_RDWR ? 1 : 0;
    }
    CHECK(writable == 2); // one for write-back; the one for the medium is read-only
}

TEST_CASE("transfers beyond the end fail, name their offset and leave the last bytes alone") {
    temp_dir const folder;
    std::string path;
    std::unique_ptr<loop_device> loop;
    bool const is_block = GENERATE(true, false);
    if (is_block) {
        SEEDBED_REQUIRE_LOOP_DEVICES();
        loop = std::make_unique<loop_device>(loop_device::options{.size = mib});
        path = loop->path();
        put_bytes(path, 0, pattern(mib, 4));
    } else {
        path = new_file(folder / "image", pattern(mib, 4));
    }
    auto const device = open_or_fail(path, {.writable = true});
    bytes buffer(1000);
    auto const read = device->read(mib - 500, buffer);
    REQUIRE_FALSE(read);
    CHECK(read.error().message() == "read " + path + ": offset 1048076, length 1000: Input/output error (EIO)");
    CHECK(device->read_medium(mib - 500, buffer).error().code == EIO);
    CHECK(device->read(-1, buffer).error().code == EINVAL);

    auto const written = device->write(mib - 500, buffer);
    REQUIRE_FALSE(written);
    CHECK(written.error().message() ==
          "write " + path + ": offset 1048076, length 1000: No space left on device (ENOSPC)");
    CHECK(device->write(mib + 1, bytes(1)).error().code == ENOSPC);
    CHECK(device->write(-1, buffer).error().code == EINVAL);
    REQUIRE(device->flush());
    CHECK((all_bytes(path) == pattern(mib, 4)));
    CHECK(device->write(mib - 1000, buffer));
    CHECK(device->write(mib, bytes()));
}

TEST_CASE("a regular file is written, flushed and read like a disk") {
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(300'001));
    auto const device = open_or_fail(path, {.writable = true, .min_size = 300'001, .size = 300'001});
    auto const written = pattern(100'003, 5);
    REQUIRE(device->write(199'998, written));
    REQUIRE(device->flush());
    bytes buffer(100'003);
    REQUIRE(device->read_medium(199'998, buffer));
    CHECK((buffer == written));
    CHECK((get_bytes(path, 199'998, 100'003) == written));
}

TEST_CASE("a failed system call is an error with operation, device, offset and errno") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(mib));
    auto const device = open_or_fail(path, {.writable = true});
    auto const written =
        with_failing_system_calls({SYS_pwritev}, EIO, [&] { return device->write(4096, pattern(512, 6)); });
    REQUIRE_FALSE(written);
    CHECK(written.error().message() == "write " + path + ": offset 4096, length 512: Input/output error (EIO)");
    bytes buffer(512);
    auto const read = with_failing_system_calls({SYS_preadv}, EIO, [&] { return device->read(8192, buffer); });
    REQUIRE_FALSE(read);
    CHECK(read.error().message() == "read " + path + ": offset 8192, length 512: Input/output error (EIO)");
    auto const medium =
        with_failing_system_calls({SYS_pread64}, EBADMSG, [&] { return device->read_medium(8192, buffer); });
    REQUIRE_FALSE(medium);
    CHECK(medium.error().message() == "read " + path + ": offset 8192, length 512: Bad message (EBADMSG)");
}

TEST_CASE("a failed flush stays failed, even if the next would succeed") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(mib));
    auto device = open_or_fail(path, {.writable = true});
    REQUIRE(device->flush());
    auto const flushed = with_failing_system_calls({SYS_fsync}, EIO, [&] { return device->flush(); });
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().message() == "flush " + path + ": Input/output error (EIO)");
    for (int i = 0; i < 2; ++i) {
        auto const again = device->flush();
        REQUIRE_FALSE(again);
        CHECK(again.error().code == EIO);
    }
    device.reset();
    CHECK(open_or_fail(path, {.writable = true})->flush()); // a new object does not remember the failure
}

TEST_CASE("a failed flush can be forgotten, with the loss that the kernel has yet to report") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    // Its backing file has holes for which the file system below has no room.
    temp_dir const folder;
    fs::create_directory(folder / "small");
    mounted const small("none", folder / "small", "tmpfs", 0, "size=1m");
    loop_device const loop({.size = 16 * mib, .folder = folder / "small"});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    REQUIRE(device->write(0, pattern(64 * kib, 7)));
    REQUIRE(device->flush());
    REQUIRE(device->write(4 * mib, pattern(2 * mib, 7))); // the page cache accepts it
    REQUIRE_FALSE(device->flush());
    device->forget_failed_flush();
    // Enough to start write-back, which has a report of its own. The medium has room for these.
    for (std::uint64_t i = 0; i < 200; ++i) {
        REQUIRE(device->write(0, pattern(64 * kib, i)));
    }
    CHECK(device->flush());
    bytes buffer(16);
    REQUIRE(device->read(6 * mib - 16, buffer));
    CHECK(buffer == bytes(16)); // not the cache's copy
    REQUIRE(device->write(8 * mib, pattern(2 * mib, 7)));
    CHECK_FALSE(device->flush()); // the next failure is a new one
}

TEST_CASE("a disk that loses written data fails the flush, and every later one") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    // Its backing file has holes for which the file system below has no room.
    temp_dir const folder;
    fs::create_directory(folder / "small");
    mounted const small("none", folder / "small", "tmpfs", 0, "size=1m");
    loop_device const loop({.size = 8 * mib, .folder = folder / "small"});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    REQUIRE(device->write(6 * mib, pattern(64 * kib, 7)));
    REQUIRE(device->flush()); // durable data is not affected
    REQUIRE(device->write(3 * mib, pattern(mib, 7)));
    REQUIRE(device->write(mib, pattern(mib, 7))); // the page cache accepts them
    auto const flushed = device->flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().offset == mib);
    CHECK(flushed.error().length == 3 * mib);
    CHECK(flushed.error().operation == io_operation::flush);
    CHECK(flushed.error().device == loop.path());
    CHECK((flushed.error().code == EIO || flushed.error().code == ENOSPC));
    auto const again = device->flush();
    REQUIRE_FALSE(again);
    CHECK(again.error().code == flushed.error().code);
    CHECK(again.error().offset == mib);
    CHECK(again.error().length == 3 * mib);
}

TEST_CASE("write-back starts with the write that completes 8 MiB, and counting continues from there") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(mib));
    auto const device = open_or_fail(path, {.writable = true});
    auto const run = pattern(mib, 8);
    // The failure shows which writes start it.
    auto const written = with_failing_system_calls({SYS_sync_file_range}, EIO, [&] {
        std::vector<int> failed;
        for (int i = 0; i < 64; ++i) {
            bool const completes = i % 8 == 7;
            if (!device->write(0, std::span(run).first(static_cast<std::size_t>(completes ? mib - 1 : mib)))) {
                failed.push_back(i);
            }
            if (completes && !device->write(0, bytes(1))) {
                failed.push_back(-i);
            }
        }
        return failed;
    });
    CHECK(written == std::vector{-7, -15, -23, -31, -39, -47, -55, -63});
}

TEST_CASE("write-back of 8 MiB needs no flush") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = 32 * mib});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    auto const before = sectors_written(loop.path());
    REQUIRE(device->write(0, bytes(8 * mib)));
    // Without it, the kernel would wait for vm.dirty_expire_centisecs, which is 30 s.
    auto const deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (sectors_written(loop.path()) == before && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK(sectors_written(loop.path()) > before);
}

TEST_CASE("only one of several concurrent writes in 8 MiB starts write-back, and only that one fails with it") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(mib));
    auto const device = open_or_fail(path, {.writable = true});
    std::atomic<int> failed{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            fail_system_calls_of_this_thread({SYS_sync_file_range}, EIO);
            bytes const run(64 * kib);
            for (int i = 0; i < 32 * 16; ++i) { // 32 MiB per thread, 128 MiB in total
                if (auto const written = device->write(0, run); !written) {
                    ++failed;
                    wrong += written.error().code == EIO && written.error().operation == io_operation::write &&
                                     written.error().length == 64 * kib
                                 ? 0
                                 : 1;
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(failed == 16);
    CHECK(wrong == 0);
}

TEST_CASE("a lost page fails the write that waits for it, and every flush") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    temp_dir const folder;
    fs::create_directory(folder / "small");
    mounted const small("none", folder / "small", "tmpfs", 0, "size=1m"); // as above: room for only a part of the disk
    loop_device const loop({.size = 128 * mib, .folder = folder / "small"});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    auto const run = pattern(mib, 9);
    std::int64_t taken = 0;
    result<void, io_error> written;
    for (; written && taken < 128 * mib; taken += mib) {
        written = device->write(taken, run);
    }
    REQUIRE_FALSE(written);
    CHECK(written.error().operation == io_operation::write);
    CHECK(taken <= 16 * mib); // the write-back started after 8 MiB is awaited after 16
    auto const flushed = device->flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().code == written.error().code);
    CHECK(flushed.error().offset == 0);
    CHECK(flushed.error().length == taken);
}

TEST_CASE("a missing sync_file_range is not an error") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(32 * mib));
    auto const device = open_or_fail(path, {.writable = true});
    for (int const code : {ENOSYS, EINVAL, ESPIPE}) {
        CHECK(with_failing_system_calls({SYS_sync_file_range}, code,
                                        [&] { return device->write(0, bytes(32 * mib)).has_value(); }));
    }
    CHECK_FALSE(with_failing_system_calls({SYS_sync_file_range}, ENOSPC,
                                          [&] { return device->write(0, bytes(32 * mib)).has_value(); }));
}

TEST_CASE("threads may read and write different ranges at the same time") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = 4 * mib});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (std::uint64_t i = 0; i < 50; ++i) {
                auto const written = pattern(16 * kib, i);
                bytes buffer(16 * kib);
                std::int64_t const offset = t * mib + static_cast<std::int64_t>(i) * 16 * kib;
                bool const good = device->write(offset, written) && device->read(offset, buffer) && device->flush() &&
                                  buffer == written && device->read_medium(offset, buffer) && buffer == written;
                wrong += good ? 0 : 1;
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    CHECK(wrong == 0);
}

TEST_CASE("the geometry of a block device comes from the kernel") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const block_size = GENERATE(512U, 4096U);
    bool const read_only = GENERATE(false, true);
    loop_device const loop({.size = 3 * mib, .block_size = block_size, .read_only = read_only});
    auto const geometry = query_device_geometry(loop.path());
    REQUIRE(geometry);
    CHECK(geometry->size == 3 * mib);
    CHECK(geometry->logical_block_size == static_cast<int>(block_size));
    CHECK(geometry->physical_block_size >= static_cast<int>(block_size));
    CHECK(geometry->is_block_device);
    CHECK(geometry->read_only == read_only);
}

TEST_CASE("the geometry of a regular file is its length and the alignment for direct I/O") {
    temp_dir const folder;
    auto const path = new_file(folder / "image", bytes(12'345));
    auto const geometry = query_device_geometry(path);
    REQUIRE(geometry);
    CHECK(geometry->size == 12'345);
    CHECK_FALSE(geometry->is_block_device);
    CHECK_FALSE(geometry->read_only);
    CHECK(geometry->logical_block_size > 0);
    CHECK(4096 % geometry->logical_block_size == 0);
}

TEST_CASE("a path that is neither device nor file has no geometry") {
    CHECK(query_device_geometry("/dev/full").error().guard == device_guard::wrong_type);
    CHECK(query_device_geometry("/nowhere").error().guard == device_guard::missing);
}

TEST_CASE("inspecting a device does not disturb its users") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    auto const device = open_or_fail(loop.path(), {.writable = true});
    CHECK(query_device_geometry(loop.path()));
    temp_dir const folder;
    auto const file = open_or_fail(new_file(folder / "image", bytes(1000)), {.writable = true});
    CHECK(query_device_geometry(file->path()));
}
