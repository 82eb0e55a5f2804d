#include "core/device/device_guards.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/file_block_device.hpp"
#include "support/device_bytes.hpp"
#include "support/loop_device.hpp"
#include "support/sysfs_tree.hpp"

using namespace seedbed;
using namespace seedbed::test;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t mib = 1024 * 1024;

device_requirements const deploy{.writable = true};
device_requirements const seed{};

dev_t number_of(std::string const& path) {
    struct ::stat st = {};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    return st.st_rdev;
}

std::string number_pair(dev_t device) {
    return std::to_string(major(device)) + ":" + std::to_string(minor(device));
}

std::string new_file(fs::path const& path, std::string const& text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
    REQUIRE(out.flush());
    return path;
}

/// The bytes of a file or device that only a program could change. The kernel moves pages to and from a swap space at
/// any time: of that, the header.
std::vector<std::byte> lasting_bytes(std::string const& path, device_guard guard) {
    auto bytes = all_bytes(path);
    if (guard == device_guard::swap) {
        bytes.resize(std::min<std::size_t>(bytes.size(), 4096));
    }
    return bytes;
}

/// Opens, and checks the rules for every refusal: the guard, one line that names the device, and no byte
/// changed. \return the message.
std::string refusal(std::string const& path, device_requirements const& requirements, device_guard guard) {
    struct ::stat st = {};
    bool const has_bytes = ::stat(path.c_str(), &st) == 0 && (S_ISBLK(st.st_mode) || S_ISREG(st.st_mode));
    auto const before = has_bytes ? lasting_bytes(path, guard) : std::vector<std::byte>{};
    std::string message;
    {
        auto const device = open_block_device(path, requirements);
        REQUIRE_FALSE(device);
        message = device.error().message;
        INFO(message);
        CHECK(std::string(to_string(device.error().guard)) == to_string(guard));
        CHECK(message.starts_with(path + ": "));
        CHECK(message.size() > path.size() + 2);
        CHECK(message.find('\n') == std::string::npos);
        CHECK(message.back() != '.');
    }
    CHECK((!has_bytes || lasting_bytes(path, guard) == before));
    return message;
}

/// Why a device is refused; empty if it is opened.
std::string opened(std::string const& path, device_requirements const& requirements) {
    auto const device = open_block_device(path, requirements);
    return device ? "" : device.error().message;
}

bool has(std::string const& text, std::string const& part) {
    return text.find(part) != std::string::npos;
}

/// A file system that writes nothing by itself: no journal, and no lazy initialisation.
bool make_file_system(std::string const& device) {
    return run_program("mke2fs", {"-q", "-F", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard",
                                  device}) == 0;
}

#define REQUIRE_FILE_SYSTEM(device)                                                                                    \
    do {                                                                                                               \
        if (!make_file_system(device)) {                                                                               \
            WARN("SKIPPED: no mke2fs");                                                                                \
            return;                                                                                                    \
        }                                                                                                              \
    } while (false)

/// Swap space that is switched off in the destructor.
class active_swap {
public:
    explicit active_swap(std::string path)
        : m_path(std::move(path))
        , m_code(::swapon(m_path.c_str(), 0) == 0 ? 0 : errno) {}
    active_swap(active_swap const&) = delete;
    active_swap& operator=(active_swap const&) = delete;
    ~active_swap() {
        if (m_code == 0) {
            ::swapoff(m_path.c_str());
        }
    }
    /// 0, or errno if swapon is not permitted.
    [[nodiscard]] int code() const noexcept { return m_code; }

private:
    std::string m_path;
    int m_code;
};

/// Runs \p work on a thread with its own mounts, so that it can replace files of the system. The work
/// must use no macros of the test framework.
template <class Work>
auto with_own_mounts(Work work) {
    std::optional<decltype(work())> outcome;
    std::exception_ptr failure;
    std::thread([&] {
        try {
            if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
                throw std::system_error(errno, std::generic_category(), "a mount namespace");
            }
            outcome.emplace(work());
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure) {
        std::rethrow_exception(failure);
    }
    return std::move(*outcome);
}

void mount_or_throw(std::string const& source, std::string const& target, char const* type, unsigned long flags) {
    if (::mount(source.c_str(), target.c_str(), type, flags, nullptr) != 0) {
        throw std::system_error(errno, std::generic_category(), "mount on " + target);
    }
}

/// The result of opening when udev knows \p properties of the device.
std::string opened_with_udev(std::string const& path, std::string const& properties, device_requirements requirements) {
    auto const file = "/run/udev/data/b" + number_pair(number_of(path));
    return with_own_mounts([&]() -> std::string {
        mount_or_throw("none", "/run", "tmpfs", 0);
        fs::create_directories("/run/udev/data");
        std::ofstream(file) << properties;
        auto const device = open_block_device(path, requirements);
        return device ? "opened" : std::string(to_string(device.error().guard)) + " " + device.error().message;
    });
}

} // namespace

// Each guard on its own, through open_block_device.

TEST_CASE("guard missing: no such path") {
    auto const& requirements = GENERATE(true, false) ? deploy : seed;
    CHECK(has(refusal("/dev/no-such-disk", requirements, device_guard::missing), "ENOENT"));
    CHECK(has(refusal("/dev/null/disk", requirements, device_guard::missing), "ENOTDIR"));
    temp_dir const folder;
    fs::create_symlink(folder / "gone", folder / "link");
    refusal(folder / "link", requirements, device_guard::missing);
    CHECK_FALSE(fs::exists(folder / "gone"));
}

TEST_CASE("guard wrong type: a folder, a pipe and character devices") {
    auto const& requirements = GENERATE(true, false) ? deploy : seed;
    temp_dir const folder;
    CHECK(has(refusal(folder.path(), requirements, device_guard::wrong_type), "a folder"));
    std::string const pipe = folder / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(has(refusal(pipe, requirements, device_guard::wrong_type), "a named pipe")); // without waiting for a writer
    CHECK(has(refusal("/dev/full", requirements, device_guard::wrong_type), "a character device"));
    CHECK(has(refusal("/dev/null", requirements, device_guard::wrong_type), "a character device"));
}

TEST_CASE("a device is found through links like those of /dev/disk/by-id") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    temp_dir const folder;
    fs::create_symlink(loop.path(), folder / "by-id");
    std::string const link = folder / "by-id";
    auto const device = open_block_device(link, deploy);
    REQUIRE(device);
    CHECK((*device)->path() == link);
    refusal(loop.path(), deploy, device_guard::held);
}

TEST_CASE("guard mounted: a disk that is mounted read-write") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    REQUIRE_FILE_SYSTEM(loop.path());
    temp_dir const folder;
    {
        mounted const mount(loop.path(), folder.path(), "ext4");
        CHECK(has(refusal(loop.path(), deploy, device_guard::mounted), "mounted on " + folder.path().string()));
        refusal(loop.path(), {.writable = true, .allow_mounted = true}, device_guard::mounted);
        CHECK(
            has(refusal(loop.path(), seed, device_guard::mounted), "mounted read-write on " + folder.path().string()));
        CHECK(opened(loop.path(), {.allow_mounted = true}).empty());
    }
    CHECK(opened(loop.path(), deploy).empty());
}

TEST_CASE("guard mounted: a disk that is mounted read-only may be seeded but not deployed to") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    REQUIRE_FILE_SYSTEM(loop.path());
    temp_dir const folder;
    mounted const mount(loop.path(), folder.path(), "ext4", MS_RDONLY);
    refusal(loop.path(), deploy, device_guard::mounted);
    CHECK(opened(loop.path(), seed).empty());
}

TEST_CASE("guard mounted: a read-only view of a writable file system is writable") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    REQUIRE_FILE_SYSTEM(loop.path());
    temp_dir const folder;
    mounted const mount(loop.path(), folder.path(), "ext4");
    REQUIRE(::mount(nullptr, folder.path().c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr) == 0);
    refusal(loop.path(), seed, device_guard::mounted);
}

TEST_CASE("guard mounted: a mount counts for its disk and its partitions, and for no others") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device loop({.size = 32 * mib, .partitions = true});
    auto const first = loop.add_partition(1, mib, 8 * mib);
    auto const second = loop.add_partition(2, 9 * mib, 8 * mib);
    temp_dir const folder;
    SECTION("a partition of it") {
        REQUIRE_FILE_SYSTEM(second);
        mounted const mount(second, folder.path(), "ext4");
        CHECK(has(refusal(loop.path(), deploy, device_guard::mounted), "a part of it"));
        refusal(loop.path(), seed, device_guard::mounted);
        refusal(second, deploy, device_guard::mounted);
        CHECK(opened(loop.path(), {.allow_mounted = true}).empty());
        CHECK(opened(first, deploy).empty());
        CHECK(opened(first, seed).empty());
    }
    SECTION("its disk") {
        REQUIRE_FILE_SYSTEM(loop.path());
        mounted const mount(loop.path(), folder.path(), "ext4");
        CHECK(has(refusal(first, deploy, device_guard::mounted), "the disk it is on"));
        refusal(first, seed, device_guard::mounted);
    }
}

TEST_CASE("guard mounted: a file that a loop device is mounted from") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    REQUIRE_FILE_SYSTEM(loop.path());
    auto const file = loop.backing_file().string();
    temp_dir const folder;
    {
        mounted const mount(loop.path(), folder.path(), "ext4");
        auto const name = loop.path().substr(5);
        CHECK(has(refusal(file, deploy, device_guard::mounted),
                  "mounted on " + folder.path().string() + " through " + name + "; unmount it first"));
        CHECK(has(refusal(file, seed, device_guard::mounted),
                  "mounted read-write on " + folder.path().string() + " through " + name));
        CHECK(opened(file, {.allow_mounted = true}).empty());
    }
    {
        mounted const mount(loop.path(), folder.path(), "ext4", MS_RDONLY);
        refusal(file, deploy, device_guard::mounted);
        CHECK(opened(file, seed).empty());
    }
}

TEST_CASE("guard mounted: a disk under a loop device with an offset") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const disk;
    loop_device const part({.file = disk.path(), .offset = 4 * mib, .length = 8 * mib});
    loop_device const before({.file = disk.path(), .length = 4 * mib});
    REQUIRE_FILE_SYSTEM(part.path());
    temp_dir const folder;
    mounted const mount(part.path(), folder.path(), "ext4");
    for (auto const& path : {disk.path(), disk.backing_file().string()}) {
        CHECK(has(refusal(path, deploy, device_guard::mounted), "through " + part.path().substr(5)));
        refusal(path, seed, device_guard::mounted);
    }
    CHECK(opened(before.path(), deploy).empty());
    loop_device const inside({.file = disk.backing_file(), .offset = 11 * mib, .length = mib});
    refusal(inside.path(), deploy, device_guard::mounted);
    loop_device const behind({.file = disk.path(), .offset = 12 * mib, .length = mib});
    CHECK(opened(behind.path(), deploy).empty());
}

TEST_CASE("guard held: a file or device that a loop device is attached to is not written") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    auto const file = loop.backing_file().string();
    CHECK(has(refusal(file, deploy, device_guard::held), "held by other devices on the same bytes (" +
                                                             loop.path().substr(5) +
                                                             "); detach them first (losetup -d " + loop.path() + ")"));
    CHECK(opened(file, seed).empty());
    CHECK(opened(loop.path(), deploy).empty());
    loop_device const upper({.file = loop.path(), .offset = mib, .length = mib});
    CHECK(has(refusal(loop.path(), deploy, device_guard::held), upper.path().substr(5)));
    CHECK(opened(loop.path(), seed).empty());
    CHECK(opened(upper.path(), deploy).empty());
}

TEST_CASE("guards find the file of a loop device by any of its names") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    REQUIRE_FILE_SYSTEM(loop.path());
    auto const folder = loop.backing_file().parent_path();
    std::string const other_name = folder / "other name";
    fs::create_hard_link(loop.backing_file(), other_name);
    temp_dir const place;
    SECTION("the first one was removed") {
        fs::remove(loop.backing_file());
        CHECK(has(refusal(other_name, deploy, device_guard::held), loop.path().substr(5)));
        mounted const mount(loop.path(), place.path(), "ext4");
        refusal(other_name, deploy, device_guard::mounted);
        CHECK(has(refusal(other_name, seed, device_guard::mounted), "through " + loop.path().substr(5)));
    }
    SECTION("the first one leads to another file now") {
        fs::remove(loop.backing_file());
        fs::copy_file(other_name, loop.backing_file());
        refusal(other_name, deploy, device_guard::held);
        CHECK(opened(loop.backing_file(), deploy).empty());
    }
    SECTION("the first one is hidden in this mount namespace") {
        auto const said = with_own_mounts([&]() -> std::string {
            mount_or_throw(folder, place.path(), nullptr, MS_BIND);
            mount_or_throw("none", folder, "tmpfs", 0);
            auto const device = open_block_device(place / "other name", deploy);
            return device ? "opened" : to_string(device.error().guard);
        });
        CHECK(said == "held");
    }
}

TEST_CASE("guard held: the same bytes are opened through one loop device at a time") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    auto const file = loop.backing_file().string();
    {
        auto const writer = open_block_device(loop.path(), deploy);
        REQUIRE(writer);
        CHECK(has(refusal(file, seed, device_guard::held), "locked by another program"));
    }
    auto const seeder = open_block_device(file, seed);
    REQUIRE(seeder);
    CHECK(has(refusal(loop.path(), deploy, device_guard::held),
              "its backing file " + file + " is locked by another program"));
    CHECK(opened(loop.path(), seed).empty());
}

TEST_CASE("guard swap: a device in use as swap space") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    if (run_program("mkswap", {loop.path()}) != 0) {
        WARN("SKIPPED: no mkswap");
        return;
    }
    {
        active_swap const swap(loop.path());
        if (swap.code() != 0) {
            WARN("SKIPPED: swapon " << std::generic_category().message(swap.code()));
            return;
        }
        CHECK(has(refusal(loop.path(), deploy, device_guard::swap), "swap"));
        refusal(loop.path(), seed, device_guard::swap);
        refusal(loop.path(), {.allow_mounted = true}, device_guard::swap);
        refusal(loop.backing_file(), deploy, device_guard::swap);
        refusal(loop.backing_file(), seed, device_guard::swap);
    }
    CHECK(opened(loop.path(), deploy).empty());
}

TEST_CASE("guard swap: a regular file in use as swap space") {
    SEEDBED_REQUIRE_LOOP_DEVICES(); // root, that is
    temp_dir const folder;
    auto const path = new_file(folder / "swap file", "contents");
    auto const list = new_file(folder / "swaps", "Filename Type Size Used Priority\n" + (folder.path().string()) +
                                                     "/swap\\040file file 16380 0 -2\n");
    auto const said = with_own_mounts([&]() -> std::string {
        mount_or_throw(list, "/proc/swaps", nullptr, MS_BIND);
        auto const device = open_block_device(path, deploy);
        return device ? "opened" : std::string(to_string(device.error().guard)) + " " + device.error().message;
    });
    CHECK(said == "swap " + path + ": in use as swap space (" + path + ")");
}

TEST_CASE("guard held: a device that another program has opened exclusively") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    {
        unique_fd const holder(::open(loop.path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC));
        REQUIRE(holder);
        CHECK(has(refusal(loop.path(), deploy, device_guard::held), "held"));
        refusal(loop.path(), seed, device_guard::held);
        refusal(loop.path(), {.allow_mounted = true}, device_guard::held);
    }
    CHECK(opened(loop.path(), deploy).empty());
}

TEST_CASE("an open device excludes all other users") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    device_requirements requirements;
    requirements.writable = GENERATE(true, false);
    requirements.allow_mounted = GENERATE(true, false);
    loop_device loop({.size = 8 * mib, .partitions = true});
    auto const partition = loop.add_partition(1, mib, mib);
    {
        auto const device = open_block_device(loop.path(), requirements);
        REQUIRE(device);
        CHECK(::open(loop.path().c_str(), O_RDONLY | O_EXCL | O_CLOEXEC) == -1);
        CHECK(errno == EBUSY);
        refusal(loop.path(), deploy, device_guard::held);
        refusal(partition, deploy, device_guard::held);
    }
    auto const device = open_block_device(partition, requirements);
    REQUIRE(device);
    refusal(loop.path(), deploy, device_guard::held);
}

TEST_CASE("a regular file is locked exclusively for writing, and shared for seeding") {
    temp_dir const folder;
    auto const path = new_file(folder / "image", "contents");
    {
        auto const writer = open_block_device(path, deploy);
        REQUIRE(writer);
        CHECK(has(refusal(path, deploy, device_guard::held), "locked"));
        refusal(path, seed, device_guard::held);
    }
    {
        auto const seeder = open_block_device(path, seed);
        REQUIRE(seeder);
        CHECK(opened(path, seed).empty());
        refusal(path, deploy, device_guard::held);
    }
    CHECK(opened(path, deploy).empty());
}

TEST_CASE("guard read-only: a device that cannot be written") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib, .read_only = true});
    CHECK(has(refusal(loop.path(), deploy, device_guard::read_only), "read-only"));
    CHECK(opened(loop.path(), seed).empty());
}

TEST_CASE("guard read-only: a file on a read-only file system") {
    SEEDBED_REQUIRE_LOOP_DEVICES(); // root, that is
    temp_dir const folder;
    mounted const mount("none", folder.path(), "tmpfs");
    auto const path = new_file(folder / "image", "contents");
    REQUIRE(::mount(nullptr, folder.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    refusal(path, deploy, device_guard::read_only);
    CHECK(opened(path, seed).empty());
}

TEST_CASE("guard too small: a device that ends before the image") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const writable = GENERATE(true, false);
    loop_device const loop({.size = mib});
    auto const message = refusal(loop.path(), {.writable = writable, .min_size = mib + 1}, device_guard::too_small);
    CHECK(has(message, "it has 1048576 bytes, the image needs 1048577"));
    CHECK(opened(loop.path(), {.writable = writable, .min_size = mib}).empty());
}

TEST_CASE("guard too small: a file that ends before the image, and never grows") {
    temp_dir const folder;
    auto const path = new_file(folder / "image", "contents");
    refusal(path, {.writable = true, .min_size = 9}, device_guard::too_small);
    CHECK(fs::file_size(path) == 8);
    CHECK(opened(path, {.writable = true, .min_size = 8}).empty());
}

TEST_CASE("guard sector size: 4096-byte sectors and extents of 512 bytes, and direct I/O is required") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const native_4k({.size = mib, .block_size = 4096});
    loop_device const of_512({.size = mib});
    for (std::int64_t const alignment : {512, 1024, 2048}) {
        CHECK(has(
            refusal(native_4k.path(), {.writable = true, .direct_io_alignment = alignment}, device_guard::sector_size),
            "sectors of 4096 bytes"));
        CHECK(opened(of_512.path(), {.writable = true, .direct_io_alignment = alignment}).empty());
    }
    for (std::int64_t const alignment : {0, 4096, 65'536}) { // 0: not required
        CHECK(opened(native_4k.path(), {.writable = true, .direct_io_alignment = alignment}).empty());
    }
    refusal(of_512.path(), {.writable = true, .direct_io_alignment = 256}, device_guard::sector_size);
}

TEST_CASE("guard wrong kind: a partition's image and a disk with partitions, a disk's and a partition") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device loop({.size = 32 * mib, .partitions = true});
    image_traits const of_partition{.kind = image_kind::partition};
    image_traits const of_disk{.kind = image_kind::disk};
    CHECK(opened(loop.path(), {.writable = true, .image = of_partition}).empty());
    auto const partition = loop.add_partition(1, mib, 8 * mib);
    CHECK(has(refusal(loop.path(), {.writable = true, .image = of_partition}, device_guard::wrong_kind),
              "a disk with partitions, but the image is of a single partition; deploy to a partition, or allow this"));
    CHECK(opened(loop.path(), {.writable = true, .image = of_disk}).empty());
    CHECK(opened(loop.path(), {.writable = true, .image = of_partition, .allow_mismatch = true}).empty());
    CHECK(opened(loop.path(), {.image = of_partition}).empty()); // a source
    CHECK(has(refusal(partition, {.writable = true, .image = of_disk}, device_guard::wrong_kind),
              "a partition, but the image is of a whole disk"));
    CHECK(opened(partition, {.writable = true, .image = of_partition}).empty());
}

TEST_CASE("guard wrong kind: a partition table that the kernel does not show") {
    temp_dir const folder;
    std::string table(mib, '\0');
    table.replace(446 + 4, 1, "\x83");
    table.replace(446 + 8, 8, std::string("\1\0\0\0\xff\0\0\0", 8));
    table.replace(510, 2, "\x55\xaa");
    auto const path = new_file(folder / "disk", table);
    refusal(path, {.writable = true, .image = image_traits{.kind = image_kind::partition}}, device_guard::wrong_kind);
    CHECK(opened(path, {.writable = true}).empty());
    device_requirements unknown{.writable = true, .image = image_traits{}};
    CHECK(has(refusal(path, unknown, device_guard::wrong_kind), "does not say that the image is of a whole disk"));
    CHECK(opened(new_file(folder / "empty", std::string(mib, '\0')), unknown).empty());
    unknown.begins_with_image = [] { return true; };
    CHECK(opened(path, unknown).empty());
    unknown.image->kind = image_kind::partition;
    refusal(path, unknown, device_guard::wrong_kind);
}

TEST_CASE("guard sector size: an image of sectors of 512 bytes and a disk of 4096") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const native_4k({.size = mib, .block_size = 4096});
    loop_device const of_512({.size = mib});
    image_traits const ntfs{.kind = image_kind::partition, .content = "ntfs", .sector_size = 512};
    image_traits const gpt{.kind = image_kind::disk, .content = "gpt", .sector_size = 4096};
    CHECK(has(refusal(native_4k.path(), {.writable = true, .image = ntfs}, device_guard::sector_size),
              "file system (ntfs) uses sectors of 512 bytes, the device has 4096"));
    CHECK(opened(of_512.path(), {.writable = true, .image = ntfs}).empty());
    CHECK(opened(native_4k.path(), {.writable = true, .image = ntfs, .allow_mismatch = true}).empty());
    CHECK(has(refusal(of_512.path(), {.writable = true, .image = gpt}, device_guard::sector_size),
              "counts in sectors of 4096 bytes, the device has 512"));
    CHECK(opened(native_4k.path(), {.writable = true, .image = gpt}).empty());
    CHECK(opened(of_512.backing_file(), {.image = gpt}).empty());
}

TEST_CASE("guard wrong identity: another size than the configuration names") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const writable = GENERATE(true, false);
    loop_device const loop({.size = mib});
    for (std::int64_t const size : {mib - 1, mib + 512, std::int64_t{0}}) {
        CHECK(has(refusal(loop.path(), {.writable = writable, .size = size}, device_guard::wrong_identity),
                  "its size is 1048576 bytes; expected " + std::to_string(size)));
    }
    CHECK(opened(loop.path(), {.writable = writable, .size = mib}).empty());
}

TEST_CASE("guard wrong identity: a serial number is expected but unknown") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    CHECK(has(refusal(loop.path(), {.writable = true, .serial = "S1"}, device_guard::wrong_identity),
              "no known serial number; expected \"S1\""));
    temp_dir const folder;
    CHECK(has(refusal(new_file(folder / "image", "contents"), {.serial = "S1"}, device_guard::wrong_identity),
              "a regular file has no serial number"));
}

TEST_CASE("guard wrong identity: another serial number than the configuration names") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    std::string const properties = "S:disk/by-id/x\nE:ID_SERIAL=Maker_Disk_S2\nE:ID_SERIAL_SHORT=S2\n";
    CHECK(opened_with_udev(loop.path(), properties, {.writable = true, .serial = "S2"}) == "opened");
    CHECK(opened_with_udev(loop.path(), properties, {.writable = true, .serial = "Maker_Disk_S2"}) == "opened");
    for (std::string const serial : {"S1", "S", "S22", "s2", ""}) {
        auto const said = opened_with_udev(loop.path(), properties, {.writable = true, .serial = serial});
        CHECK(said == "wrong_identity " + loop.path() + ": its serial number is \"Maker_Disk_S2\"; expected \"" +
                          serial + "\"");
    }
}

TEST_CASE("each guard has a name") {
    CHECK(std::string(to_string(device_guard::missing)) == "missing");
    CHECK(std::string(to_string(device_guard::wrong_type)) == "wrong_type");
    CHECK(std::string(to_string(device_guard::mounted)) == "mounted");
    CHECK(std::string(to_string(device_guard::swap)) == "swap");
    CHECK(std::string(to_string(device_guard::held)) == "held");
    CHECK(std::string(to_string(device_guard::read_only)) == "read_only");
    CHECK(std::string(to_string(device_guard::too_small)) == "too_small");
    CHECK(std::string(to_string(device_guard::sector_size)) == "sector_size");
    CHECK(std::string(to_string(device_guard::wrong_kind)) == "wrong_kind");
    CHECK(std::string(to_string(device_guard::wrong_identity)) == "wrong_identity");
}

// The guards' queries of the kernel and of udev, on trees made by the test.

TEST_CASE("a disk shares its bytes with its partitions, a partition with its disk only") {
    sysfs_tree sysfs;
    sysfs.add_disk("devices/x/block/sda", "8:0", 1);
    sysfs.add_partition("sda", "sda1", "8:1", 1);
    sysfs.add_partition("sda", "sda2", "8:2", 2);
    sysfs.add_disk("devices/x/block/sdb", "8:16", 1);
    system_paths const paths{.sysfs = sysfs.root()};
    auto of_disk = devices_sharing_bytes(makedev(8, 0), paths);
    std::ranges::sort(of_disk);
    CHECK(of_disk == std::vector{makedev(8, 0), makedev(8, 1), makedev(8, 2)});
    CHECK(devices_sharing_bytes(makedev(8, 2), paths) == std::vector{makedev(8, 2), makedev(8, 0)});
    CHECK(devices_sharing_bytes(makedev(8, 16), paths) == std::vector{makedev(8, 16)});
    CHECK(devices_sharing_bytes(makedev(9, 9), paths) == std::vector{makedev(9, 9)}); // unknown to sysfs
}

TEST_CASE("mounts are found by device number, whatever optional fields they have, a writable one first") {
    temp_dir const folder;
    system_paths const paths{
        .mountinfo = new_file(folder / "mountinfo",
                              "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
                              "no mount at all\n"
                              "21 20 8:2 / /mnt/a\\040b\\134c rw,noatime - ext4 /dev/sda2 ro,errors=continue\n"
                              "22 20 8:3 / /mnt/view ro shared:2 master:3 propagate_from:4 - xfs /dev/sda3 rw,attr2\n"
                              "23 20 8:4 / /mnt/first ro - ext4 /dev/sda4 ro\n"
                              "24 20 8:5 / /mnt/second rw - ext4 /dev/sda5 rw\n"
                              "25 20 8:6 / /mnt/rows rw - ext4 /dev/sda6 roomy\n"
                              "26 20 8:7 / /mnt/nameless rw - ext4  ro\n"
                              "27 20 8:7 / /mnt/- rw - ext4  rw\n")};
    auto const disk = [](unsigned minor) { return storage_part{.id = {true, makedev(8, minor), 0}}; };
    CHECK_FALSE(find_mounted({disk(0)}, paths));
    CHECK_FALSE(find_mounted({}, paths));

    auto const root = find_mounted({disk(1)}, paths);
    REQUIRE(root);
    CHECK(root->mount_point == "/");
    CHECK(root->device == makedev(8, 1));
    CHECK(root->writable);

    auto const read_only = find_mounted({disk(2)}, paths);
    REQUIRE(read_only);
    CHECK(read_only->mount_point == "/mnt/a b\\c");
    CHECK_FALSE(read_only->writable); // although the mount says rw

    auto const view = find_mounted({disk(3)}, paths);
    REQUIRE(view);
    CHECK(view->writable); // although the mount says ro

    auto const of_two = find_mounted({disk(4), disk(5)}, paths);
    REQUIRE(of_two);
    CHECK(of_two->mount_point == "/mnt/second");
    CHECK(find_mounted({disk(6)}, paths)->writable);

    auto const without_source = find_mounted({disk(7)}, paths);
    REQUIRE(without_source);
    CHECK(without_source->mount_point == "/mnt/-");
    CHECK(without_source->writable);
}

TEST_CASE("a file system with its own device number is found by its source") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    temp_dir const folder;
    system_paths const paths{.mountinfo = new_file(folder / "mountinfo", "30 1 0:45 /sub /data rw - btrfs " +
                                                                             loop.path() + " rw,space_cache\n")};
    auto const found = find_mounted(stack_of(number_of(loop.path())), paths);
    REQUIRE(found);
    CHECK(found->mount_point == "/data");
    CHECK(found->device == number_of(loop.path()));
}

TEST_CASE("a member of a mounted btrfs is mounted, though no mount names it") {
    sysfs_tree sysfs;
    sysfs.add_disk("devices/x/block/sda", "8:0", 1);
    sysfs.add_disk("devices/x/block/sdb", "8:16", 1);
    sysfs.link_device("fs/btrfs/0c-1/devices/sda", "sda");
    system_paths const paths{.sysfs = sysfs.root(), .mountinfo = "/nowhere"};
    auto const found = find_mounted(stack_of(makedev(8, 0), paths), paths);
    REQUIRE(found);
    CHECK(found->mount_point == "btrfs 0c-1");
    CHECK(found->device == makedev(8, 0));
    CHECK_FALSE(find_mounted(stack_of(makedev(8, 16), paths), paths));
}

TEST_CASE("if the list of mounts or swaps is unreadable, none is found") {
    system_paths const paths{.sysfs = "/nowhere", .mountinfo = "/nowhere", .swaps = "/nowhere"};
    CHECK_FALSE(find_mounted(stack_of(makedev(8, 1), paths), paths));
    CHECK_FALSE(find_swap(stack_of(makedev(8, 1), paths), paths));
    CHECK(find_holders({makedev(8, 1)}, paths).empty());
}

TEST_CASE("swap space is found on a device, on devices that share its bytes, and on a file") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop({.size = mib});
    loop_device const other({.size = mib});
    temp_dir const folder;
    auto const file = new_file(folder / "swap file", "contents");
    auto const another_file = new_file(folder / "another", "contents");
    system_paths const paths{
        .swaps = new_file(folder / "swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" + loop.path() +
                                                "                partition\t16380\t\t0\t\t-2\n" +
                                                "/nowhere/file\\040(deleted)  file 1 0 -3\n" + folder.path().string() +
                                                "/swap\\040file   file\t\t16380\t\t0\t\t-4\n")};
    auto const stat_of = [](std::string const& path) {
        struct ::stat st = {};
        REQUIRE(::stat(path.c_str(), &st) == 0);
        return st;
    };
    auto const swap_on = [&](std::string const& path) { return find_swap(stack_of(stat_of(path)), paths); };
    CHECK(swap_on(loop.path()) == loop.path());
    CHECK(swap_on(loop.backing_file()) == loop.path());
    CHECK_FALSE(swap_on(other.path()));
    CHECK_FALSE(swap_on(other.backing_file()));
    CHECK(swap_on(file) == file);
    CHECK_FALSE(swap_on(another_file));
}

TEST_CASE("the holders of a disk and of its partitions are named in order") {
    sysfs_tree sysfs;
    sysfs.add_disk("devices/x/block/sda", "8:0", 1);
    sysfs.add_partition("sda", "sda1", "8:1", 1);
    sysfs.add_disk("devices/virtual/block/md127", "9:127", 1);
    sysfs.add_disk("devices/virtual/block/dm-0", "253:0", 1);
    sysfs.add_holder("md127", "sda");
    sysfs.add_holder("dm-0", "sda1");
    system_paths const paths{.sysfs = sysfs.root()};
    CHECK(find_holders({makedev(8, 0), makedev(8, 1)}, paths) == std::vector<std::string>{"dm-0", "md127"});
    CHECK(find_holders({makedev(8, 1)}, paths) == std::vector<std::string>{"dm-0"});
    CHECK(find_holders({makedev(9, 127)}, paths).empty());
}

TEST_CASE("serial numbers come from sysfs, for each kind of disk, and from udev") {
    using serials = std::vector<std::string>;
    sysfs_tree sysfs;
    temp_dir const udev;
    sysfs.add_disk("devices/x/block/sda", "8:0", 1);
    sysfs.add_partition("sda", "sda1", "8:1", 1);
    system_paths const paths{.sysfs = sysfs.root(), .udev_data = udev.path()};
    auto const device_folder = sysfs.root() / "devices/x/block/sda";
    CHECK(device_serials(makedev(8, 0), paths).empty());
    CHECK(device_serials(makedev(8, 200), paths).empty());
    SECTION("virtio") {
        sysfs.set_attribute("sda", "serial", "virtual-7");
        CHECK(device_serials(makedev(8, 0), paths) == serials{"virtual-7"});
        CHECK(device_serials(makedev(8, 1), paths) == serials{"virtual-7"}); // a partition has its disk's
    }
    SECTION("NVMe, padded with blanks") {
        fs::create_directory(device_folder / "device");
        new_file(device_folder / "device/serial", "  S64DNX0R1 42    \n");
        CHECK(device_serials(makedev(8, 0), paths) == serials{"S64DNX0R1 42"});
    }
    SECTION("SCSI's page 0x80, with the length that it states") {
        fs::create_directory(device_folder / "device");
        new_file(device_folder / "device/vpd_pg80", std::string("\0\x80\0\x08  WD-123rubbish", 19));
        CHECK(device_serials(makedev(8, 0), paths) == serials{"WD-123"});
        new_file(device_folder / "device/vpd_pg80", std::string("\0\x80\x01\0", 4) + std::string(300, 'x'));
        CHECK(device_serials(makedev(8, 0), paths) == serials{std::string(256, 'x')});
        new_file(device_folder / "device/vpd_pg80", std::string("\0\x83\0\x08OTHERPGE", 12));
        CHECK(device_serials(makedev(8, 0), paths).empty());
        new_file(device_folder / "device/vpd_pg80", std::string("\0\x80\0", 3));
        CHECK(device_serials(makedev(8, 0), paths).empty());
    }
    SECTION("udev, each spelling once") {
        sysfs.set_attribute("sda", "serial", "S1");
        new_file(udev / "b8:0", "I:123\nE:ID_SERIAL=Maker_S1\nE:ID_SERIAL_SHORT=S1\nE:ID_SERIAL_RAW=no\n"
                                "E:ID_SCSI_SERIAL=S1X\nE:ID_MODEL=no\n");
        CHECK(device_serials(makedev(8, 0), paths) == serials{"S1", "Maker_S1", "S1X"});
    }
}
