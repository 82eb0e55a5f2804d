#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/agent/after_hooks.hpp"
#include "daemon/agent/deployed_disk.hpp"
#include "daemon/agent/machine_facts.hpp"
#include "daemon/agent/retry_pause.hpp"
#include "daemon/agent/server_link.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using seedbed::test::temp_dir;
namespace fs = std::filesystem;

namespace {

void put_text(fs::path const& path, std::string const& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

void put_program(fs::path const& path, std::string const& script) {
    put_text(path, "#!/bin/sh\n" + script);
    fs::permissions(path, fs::perms::owner_all);
}

void add_interface(fs::path const& net, std::string const& name, std::string const& mac, char const* type,
                   bool has_device) {
    put_text(net / name / "address", mac + "\n");
    put_text(net / name / "type", std::string(type) + "\n");
    if (has_device) {
        fs::create_directory(net / name / "device");
    }
}

partition_overview partition(std::string path, std::int64_t size, std::string type) {
    partition_overview made;
    made.path = std::move(path);
    made.size = size;
    made.content.type = std::move(type);
    return made;
}

} // namespace

TEST_CASE("the pause before a server is asked again doubles up to a minute") {
    retry_pause pause;
    CHECK_FALSE(pause.is_away());
    std::vector<std::chrono::milliseconds> pauses;
    for (int i = 0; i < 8; ++i) {
        pauses.push_back(pause.next(0));
    }
    CHECK(pauses == std::vector<std::chrono::milliseconds>{1s, 2s, 4s, 8s, 16s, 32s, 60s, 60s});
    CHECK(pause.is_away());
    CHECK(pause.next(1) == 30s); // shortened by a half at most
    CHECK(pause.next(0.5) == 45s);
    pause.reset();
    CHECK_FALSE(pause.is_away());
    CHECK(pause.next(0) == 1s);
}

TEST_CASE("the URL of a server") {
    auto const text = [](std::string const& url) {
        auto const parsed = parse_server_url(url);
        return parsed ? "http://" + parsed->text() : "refused";
    };
    CHECK(text("http://192.0.2.1:7000") == "http://192.0.2.1:7000");
    CHECK(text("http://192.0.2.1:7000/") == "http://192.0.2.1:7000");
    CHECK(text("server.example") == "http://server.example:6969");
    CHECK(text("server:80") == "http://server:80");
    CHECK(text("http://[2001:db8::1]") == "http://[2001:db8::1]:6969");
    CHECK(text("[2001:db8::1]:80") == "http://[2001:db8::1]:80");
    for (auto const* const url : {"", "http://", "https://a", "http://a/images", "http://a:0", "http://a:x", "a:65536",
                                  "2001:db8::1", "[2001:db8::1", "[::1]x", "a b", "user@host"}) {
        INFO(url);
        CHECK(text(url) == "refused");
    }
}

TEST_CASE("a machine is known by the addresses of its cards") {
    temp_dir const net;
    add_interface(net.path(), "lo", "00:00:00:00:00:00", "772", false);
    add_interface(net.path(), "br0", "52:54:00:00:00:07", "1", false);
    CHECK(find_macs(net.path()) == std::vector<std::string>{"52:54:00:00:00:07"}); // better than none
    add_interface(net.path(), "eth1", "52:54:00:00:00:02", "1", true);
    add_interface(net.path(), "eth0", "52:54:00:00:00:01", "1", true);
    add_interface(net.path(), "ib0", "52:54:00:00:00:03", "32", true);
    CHECK(find_macs(net.path()) == std::vector<std::string>{"52:54:00:00:00:01", "52:54:00:00:00:02"});
    CHECK(find_macs(net / "missing").empty());
}

TEST_CASE("a placeholder is not a serial number") {
    temp_dir const dmi;
    CHECK(find_dmi_serial(dmi.path()).empty());
    for (auto const* const text : {"To be filled by O.E.M.", "Default string", "None", "0000000", "123456789", " "}) {
        put_text(dmi / "product_serial", std::string(text) + "\n");
        INFO(text);
        CHECK(find_dmi_serial(dmi.path()).empty());
    }
    put_text(dmi / "product_serial", "5CD0123ABC \n");
    CHECK(find_dmi_serial(dmi.path()) == "5CD0123ABC");
}

TEST_CASE("the root of a deployed disk is the largest Linux file system, or else NTFS") {
    device_overview disk;
    disk.path = "/dev/sda";
    CHECK(root_of(disk).path.empty());
    disk.content.type = "xfs";
    CHECK(root_of(disk).path == "/dev/sda"); // a disk without partitions
    disk.partitions = {partition("/dev/sda1", 100, "vfat"), partition("/dev/sda2", 900, "ntfs")};
    CHECK(root_of(disk).path == "/dev/sda2");
    disk.partitions.push_back(partition("/dev/sda3", 300, "ext4"));
    disk.partitions.push_back(partition("/dev/sda4", 500, "btrfs"));
    disk.partitions.push_back(partition("/dev/sda5", 800, "swap"));
    CHECK(root_of(disk).path == "/dev/sda4");
    CHECK(efi_partition_of(disk) == "/dev/sda1");
    CHECK(hook_environment({"/dev/sda", "PC-1", "win", "id", "http://s:1"}, disk) ==
          std::vector<std::string>{
              "SEEDBED_DEVICE=/dev/sda", "SEEDBED_PARTITIONS=/dev/sda1 /dev/sda2 /dev/sda3 /dev/sda4 /dev/sda5",
              "SEEDBED_ROOT_PARTITION=/dev/sda4", "SEEDBED_ROOT_TYPE=btrfs", "SEEDBED_EFI_PARTITION=/dev/sda1",
              "SEEDBED_MACHINE=PC-1", "SEEDBED_IMAGE=win", "SEEDBED_JOB=id", "SEEDBED_SERVER=http://s:1"});
}

TEST_CASE("only programs run after a deployment, in the order of their names") {
    temp_dir const folder;
    put_program(folder / "20-b", "echo \"b $WHO\" >>\"$OUT\"\n");
    put_program(folder / "10-a", "echo \"a $WHO\" >>\"$OUT\"\n");
    put_text(folder / "README", "");
    put_program(folder / ".hidden", "exit 1\n");
    put_program(folder / "10-a~", "exit 1\n");
    fs::create_directory(folder / "30-folder");
    auto const hooks = list_hooks(folder.path());
    REQUIRE(hooks);
    CHECK(*hooks == std::vector{folder / "10-a", folder / "20-b"});
    CHECK_FALSE(list_hooks(folder / "missing"));

    std::vector<std::string> begun;
    auto const out = (folder / "out").string();
    auto const ran = run_hooks(*hooks, {"OUT=" + out, "WHO=me"}, 10s, [&](auto const& name) { begun.push_back(name); });
    INFO((ran ? "" : ran.error().message));
    CHECK(ran);
    CHECK(begun == std::vector<std::string>{"10-a", "20-b"});
    std::ifstream in(out);
    std::string const text{std::istreambuf_iterator<char>(in), {}};
    CHECK(text == "a me\nb me\n");
}

TEST_CASE("the first program that fails, or takes too long, ends the series") {
    temp_dir const folder;
    put_program(folder / "10-fails", "echo why >&2\nexit 7\n");
    put_program(folder / "20-never", "touch \"$OUT\"\n");
    auto const out = folder / "out";
    auto const ran = run_hooks(list_hooks(folder.path()).value(), {"OUT=" + out.string()}, 10s, [](auto const&) {});
    REQUIRE_FALSE(ran);
    CHECK(ran.error().message == "10-fails: exit status 7: why");
    CHECK_FALSE(fs::exists(out));

    put_program(folder / "10-fails", "exec sleep 100\n");
    auto const late = run_hooks(list_hooks(folder.path()).value(), {}, 1s, [](auto const&) {});
    REQUIRE_FALSE(late);
    CHECK(late.error().message == "10-fails: did not end within 1 s");
}
