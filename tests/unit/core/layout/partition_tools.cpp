#include "core/layout/partition_tools.hpp"

#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/foundation/find_program.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/layout/loop_view.hpp"
#include "core/layout/program_run.hpp"
#include "support/loop_device.hpp"
#include "support/sample_layouts.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace fs = std::filesystem;

namespace {

constexpr auto swap_uuid = "12345678-1234-1234-1234-123456789abc";

/// How to make, mount and check each file system that grows.
struct file_system {
    std::string type;
    std::vector<std::string> make;
    std::vector<std::string> check;
    std::string mount_type;
    std::string mount_options = {};
};
std::vector<file_system> const file_systems{
    {"ext4", {"mkfs.ext4", "-q", "-F"}, {"e2fsck", "-f", "-n"}, "ext4"},
    {"ntfs", {"mkfs.ntfs", "-q", "-F", "-f"}, {"ntfsresize", "--no-action", "-f"}, ""},
    {"xfs", {"mkfs.xfs", "-q", "-f"}, {"xfs_repair", "-n"}, "xfs", "nouuid"},
    {"btrfs", {"mkfs.btrfs", "-q", "-f"}, {"btrfs", "check"}, "btrfs"},
};

result<program_end> run(std::vector<std::string> words, std::string const& last) {
    auto const program = find_program(words.front());
    words.erase(words.begin());
    words.push_back(last);
    return run_to_end(program, words);
}

bool all_installed(file_system const& kind) {
    return !find_program(kind.make.front()).empty() && !find_program(kind.check.front()).empty();
}

std::map<std::string, std::string> tree(fs::path const& folder) {
    std::map<std::string, std::string> files;
    for (auto const& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file()) {
            std::ifstream in(entry.path(), std::ios::binary);
            files[fs::relative(entry.path(), folder).string()] = std::string(std::istreambuf_iterator<char>(in), {});
        }
    }
    return files;
}

/// A disk of two partitions: a file system that grows, and a swap area after it.
deployment_plan plan_for(std::string const& type) {
    auto image = sample_gpt();
    image.disk_size = 400 * mib;
    image.partitions = {gpt_partition(1, mib, 330 * mib, type), gpt_partition(2, 331 * mib, 40 * mib, "swap")};
    image.partitions[1].content.uuid = swap_uuid;
    image.partitions[1].content.label = "swap";
    auto const made = plan_deployment(image, 700 * mib, 512, {growth::choice::numbered, 1});
    REQUIRE(made);
    return *made;
}

result<void> finish(fs::path const& disk, deployment_plan const& plan,
                    std::function<void(std::string const&)> const& on_step = {}) {
    unique_fd const fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(fd);
    return finish_partitions(fd.get(), disk.string(), plan, on_step);
}

/// Makes the file system in its old size, with some files if the kernel can mount it. \return its tree.
std::map<std::string, std::string> make_file_system(fs::path const& disk, file_system const& kind) {
    unique_fd const fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
    auto const view = loop_view::make(fd.get(), mib, 330 * mib, 512);
    INFO((view ? "" : view.error().message));
    REQUIRE(view);
    auto const made = run(kind.make, view->path());
    REQUIRE(made);
    INFO(made->last_line);
    REQUIRE(made->status == 0);
    std::map<std::string, std::string> files;
    if (!kind.mount_type.empty()) {
        temp_dir const folder;
        mounted const mount(view->path(), folder.path(), kind.mount_type, 0, kind.mount_options);
        for (int i = 0; i < 200; ++i) {
            fs::create_directories(folder / ("folder" + std::to_string(i % 7)));
            std::ofstream(folder / ("folder" + std::to_string(i % 7)) / std::to_string(i))
                << std::string(static_cast<std::size_t>(i * 517), static_cast<char>('a' + i % 26));
        }
        files = tree(folder.path());
    }
    REQUIRE(view->flush());
    return files;
}

} // namespace

TEST_CASE("file systems grow into their partitions, whole and unchanged") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    for (auto const& kind : file_systems) {
        CAPTURE(kind.type);
        if (!all_installed(kind)) {
            WARN("SKIPPED: the programs for " << kind.type << " are not installed");
            continue;
        }
        temp_dir const folder;
        auto const disk = folder / "disk";
        std::ofstream(disk).close();
        fs::resize_file(disk, 700 * mib);
        auto const files = make_file_system(disk, kind);
        auto const plan = plan_for(kind.type);
        REQUIRE(missing_programs(plan).empty());
        std::vector<std::string> steps;
        auto const done = finish(disk, plan, [&](auto const& step) { steps.push_back(step); });
        INFO((done ? "" : done.error().message));
        REQUIRE(done);
        CHECK(steps == std::vector<std::string>{"grow partition 1 (" + kind.type + ")",
                                                "make the swap area in partition 2 (swap)"});
        unique_fd const fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
        auto const& grown = plan.target.partitions[0];
        auto const view = loop_view::make(fd.get(), grown.start, grown.size, 512);
        REQUIRE(view);
        auto const checked = run(kind.check, view->path());
        REQUIRE(checked);
        INFO(checked->last_line);
        CHECK(checked->status == 0);
        if (!kind.mount_type.empty()) {
            temp_dir const mount_point;
            mounted const mount(view->path(), mount_point.path(), kind.mount_type, MS_RDONLY, kind.mount_options);
            CHECK(tree(mount_point.path()) == files);
            struct ::statvfs space = {};
            REQUIRE(::statvfs(mount_point.path().c_str(), &space) == 0);
            CHECK(static_cast<std::int64_t>(space.f_blocks * space.f_frsize) > grown.size * 8 / 10);
        }
        auto const& swap = plan.target.partitions[1];
        auto const area = loop_view::make(fd.get(), swap.start, swap.size, 512);
        REQUIRE(area);
        auto const uuid = run({"blkid", "-p", "-o", "value", "-s", "UUID"}, area->path());
        REQUIRE(uuid);
        CHECK(uuid->last_line == swap_uuid);
        CHECK(run({"blkid", "-p", "-o", "value", "-s", "LABEL"}, area->path())->last_line == "swap");
    }
}

TEST_CASE("a damaged file system is not grown, and the error quotes the program") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    temp_dir const folder;
    auto const disk = folder / "disk";
    std::ofstream(disk).close();
    fs::resize_file(disk, 700 * mib);
    auto const done = finish(disk, plan_for("ext4"));
    REQUIRE_FALSE(done);
    CHECK_THAT(done.error().message,
               Catch::Matchers::StartsWith(disk.string() + ": partition 1 (ext4): e2fsck failed with exit status 8: "));
    auto const ntfs = finish(disk, plan_for("ntfs"));
    REQUIRE_FALSE(ntfs);
    CHECK_THAT(ntfs.error().message, Catch::Matchers::StartsWith(
                                         disk.string() + ": partition 1 (ntfs): ntfsresize failed with exit status 1"));
    auto const xfs = finish(disk, plan_for("xfs"));
    REQUIRE_FALSE(xfs);
    CHECK_THAT(xfs.error().message, Catch::Matchers::StartsWith(disk.string() + ": partition 1 (xfs): mount: "));
}

TEST_CASE("programs that are missing are named before anything is written") {
    auto const nothing = [](std::string const& /*name*/) { return std::string(); };
    missing_program const mkswap{"mkswap", "util-linux", "make the swap area in partition 2 (swap)"};
    CHECK(missing_programs(plan_for("ext4"), nothing) ==
          std::vector<missing_program>{{"e2fsck", "e2fsprogs", "grow partition 1 (ext4)"},
                                       {"resize2fs", "e2fsprogs", "grow partition 1 (ext4)"},
                                       mkswap});
    CHECK(missing_programs(plan_for("ntfs"), nothing)[0].name == "ntfsresize");
    CHECK(missing_programs(plan_for("xfs"), nothing)[0].name == "xfs_growfs");
    CHECK(missing_programs(plan_for("btrfs"), nothing)[0].name == "btrfs");
    auto plan = plan_for("ext4");
    plan.grown = 0;
    CHECK(missing_programs(plan, nothing) == std::vector<missing_program>{mkswap});
    CHECK(missing_programs(plan, [](std::string const& name) { return "/sbin/" + name; }).empty());
}

TEST_CASE("running a program: its input, its exit status, its last line") {
    auto const shell = find_program("sh");
    auto const run_shell = [&](std::string const& script, std::string const& input = {}) {
        auto const end = run_to_end(shell, {"-c", script}, input);
        REQUIRE(end);
        return *end;
    };
    CHECK(run_shell("exit 7").status == 7);
    CHECK(run_shell("kill -9 $$").status == 128 + 9);
    CHECK(run_shell("echo one; echo two >&2; echo").last_line == "two");
    CHECK(run_shell("echo why >&2; echo what").last_line == "why");
    CHECK(run_shell("exec 1>&-; echo late >&2").last_line == "late");
    CHECK(run_shell("exec 2>&-; echo late").last_line == "late");
    CHECK(run_shell("printf '10%%\\r20%%\\r  \\033[1mend\\n'").last_line == "?[1mend");
    CHECK(run_shell("cat", "y\n").last_line == "y");
    CHECK(run_shell("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end").last_line == "end");
    CHECK(run_shell("head -c 1000000 /dev/zero | tr '\\0' x; head -c 1000000 /dev/zero >&2; echo >&2; echo end >&2")
              .last_line == "end");
    // What it leaves behind is not awaited.
    auto const left = run_shell("sleep 600 & echo $! >&2");
    CHECK(::kill(std::stoi(left.last_line), SIGKILL) == 0);
    CHECK(run_shell("echo $LC_ALL").last_line == "C");
    auto const none = run_to_end("/no/program", {});
    REQUIRE_FALSE(none);
    CHECK(none.error().message == "/no/program: No such file or directory (ENOENT)");
}

TEST_CASE("a loop view shows a range of a disk and vanishes with its last user") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    temp_dir const folder;
    auto const disk = folder / "disk";
    std::ofstream(disk) << std::string(4096, 'a') << std::string(8192, 'b') << std::string(4096, 'c');
    unique_fd const fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
    std::string path;
    {
        auto const view = loop_view::make(fd.get(), 4096, 8192, 512);
        REQUIRE(view);
        path = view->path();
        std::ifstream in(path, std::ios::binary);
        CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == std::string(8192, 'b'));
        unique_fd const out(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        REQUIRE(::pwrite(out.get(), "x", 1, 0) == 1);
        REQUIRE(view->flush());
    }
    std::string byte(1, '\0');
    REQUIRE(::pread(fd.get(), byte.data(), 1, 4096) == 1);
    CHECK(byte == "x");
    CHECK(run_program("losetup", {path}) == 1); // not attached any more
}

TEST_CASE("a loop view that another program has open for a moment is detached when it ends") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    temp_dir const folder;
    auto const disk = folder / "disk";
    std::ofstream(disk) << std::string(8192, 'a');
    unique_fd const fd(::open(disk.c_str(), O_RDWR | O_CLOEXEC));
    std::thread user;
    std::string path;
    {
        auto const view = loop_view::make(fd.get(), 0, 8192, 512);
        REQUIRE(view);
        path = view->path();
        unique_fd opened(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); // as udev does
        REQUIRE(opened);
        user = std::thread([opened = std::move(opened)]() mutable {
            std::this_thread::sleep_for(std::chrono::milliseconds(300)); // the view ends meanwhile
            opened.reset();
        });
    }
    CHECK(run_program("losetup", {path}) == 1); // not attached any more
    user.join();
}
