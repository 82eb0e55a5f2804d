// The content of a device before and after a deployment.

#include "daemon/image/written_content.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <spdlog/fmt/fmt.h>

#include "image_fixture.hpp"

using namespace seedbed;
using test::image_fixture;

namespace {

using strings = std::vector<std::string>;

image_torrent torrent_of(std::string const& content) {
    return {.name = "sda1",
            .info_hash = {},
            .extents = extent_map::make({{0, 4096}, {65'536, 4096}}).value(),
            .traits = {.kind = image_kind::partition, .content = content, .sector_size = 0},
            .info = nullptr};
}

/// A LUKS header between the two extents of the fixture's image, where libblkid looks for its second copy.
constexpr std::streamoff between = 0x8000;

void put_old_signature(image_fixture const& image) {
    std::fstream out(image.device_path(), std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(between);
    out.write("SKUL\xba\xbe\0\2", 8);
}

bool has_old_signature(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    in.seekg(between);
    std::string start(4, ' ');
    in.read(start.data(), 4);
    return start == "SKUL";
}

bool has_old_signature(image_fixture const& image) {
    return has_old_signature(image.device_path());
}

strings compare(disk_content const& found, std::vector<disk_signature> const& signatures, image_torrent const& image) {
    return compare_content(found, signatures, image.extents, image.traits);
}

} // namespace

TEST_CASE("content as the image says has no warning") {
    disk_content found;
    found.type = "ext4";
    CHECK(compare(found, {{.type = "ext4", .offset = 1080, .length = 2}}, torrent_of("ext4")).empty());
    CHECK(compare(found, {}, torrent_of("")).empty()); // a torrent that does not say
}

TEST_CASE("each difference is one warning") {
    disk_content found;
    found.type = "btrfs";
    CHECK(compare(found, {}, torrent_of("ntfs")) == strings{"is recognised as btrfs; the image is of ntfs"});
    CHECK(compare({}, {}, torrent_of("ntfs")) == strings{"is recognised as nothing; the image is of ntfs"});
    found.type.clear();
    found.partition_table = "gpt";
    CHECK(compare(found, {}, torrent_of("gpt")).empty());
    found.ambiguous = true;
    found.signatures = {{.type = "ntfs"}, {.type = "btrfs"}};
    CHECK(compare(found, {}, torrent_of("ntfs")) ==
          strings{"holds several signatures (ntfs, btrfs); a system may not recognise its content"});
    // Each type once, and only what the image does not overwrite.
    std::vector<disk_signature> const all{{.type = "zfs_member", .offset = 8192, .length = 8},
                                          {.type = "zfs_member", .offset = 9216, .length = 8},
                                          {.type = "ntfs", .offset = 3, .length = 8}};
    CHECK(compare({}, all, torrent_of("")) ==
          strings{"holds the remains of earlier content, which the image does not overwrite: zfs_member at byte 8192; "
                  "erase them with wipefs"});
}

TEST_CASE("the signatures of earlier content are wiped before the first write") {
    image_fixture image(image_mode::deploy);
    put_old_signature(image);
    SECTION("by default") {
        image.start();
        image.run_until(image_state::checking);
        CHECK_FALSE(has_old_signature(image));
        CHECK(image.logged("wiped the signature of earlier content: crypto_LUKS at byte 32768"));
        image.close();
    }
    SECTION("not if that is turned off: then the result is a warning") {
        image.wanted.wipe_signatures = false;
        image.deploy();
        CHECK(has_old_signature(image));
        auto const warning = "holds the remains of earlier content, which the image does not overwrite: crypto_LUKS at "
                             "byte 32768; erase them with wipefs";
        CHECK(image.logged(image.device_path() + ": " + warning));
        auto const content = image.job->status().content;
        CHECK(content.found);
        CHECK(content.warnings == strings{warning});
        image.close();
    }
    SECTION("not of a source") {
        image_fixture source(image_mode::seed);
        put_old_signature(source);
        source.start();
        source.run_until(image_state::seeding);
        CHECK(has_old_signature(source));
        source.close();
    }
}

TEST_CASE("a signature that cannot be wiped is a warning, and the image is deployed") {
    image_fixture image(image_mode::deploy);
    put_old_signature(image);
    auto& device = image.use_fake_device();
    device.fail(test::fake_block_device::operation::write, EIO, between, 8);
    image.deploy();
    auto const warning =
        fmt::format("cannot wipe the signature of earlier content: crypto_LUKS at byte 32768 (write {}: "
                    "offset 32768, length 6: Input/output error (EIO)); it can hide the image from a "
                    "system",
                    image.device_path());
    CHECK(image.logged(image.device_path() + ": " + warning));
    auto const status = image.job->status();
    CHECK(status.verified);
    REQUIRE_FALSE(status.content.warnings.empty());
    CHECK(status.content.warnings.front() == warning);
    image.close();
}

TEST_CASE("a deployment that the backend refuses wipes nothing") {
    image_fixture image(image_mode::deploy);
    image.start();
    image.run_until(image_state::checking);
    put_old_signature(image); // on the device of the first image
    auto other = image.wanted;
    other.name = "sda2";
    other.device = (image.folder / "other").string();
    std::filesystem::copy_file(image.wanted.device, other.device);
    auto const second = std::make_shared<image_runner>(other, image.services());
    second->start();
    image.run_until([&] { return second->state() == image_state::failed; });
    CHECK(second->status().failed_at == failure_kind::internal); // the same info-hash
    CHECK(has_old_signature(other.device));
    bool closed = false;
    second->close([&] { closed = true; });
    image.run_until([&] { return closed; });
    image.close();
}

TEST_CASE("a complete image wipes nothing when it is opened again") {
    image_fixture image(image_mode::deploy);
    put_old_signature(image);
    image.wanted.wipe_signatures = false;
    image.deploy();
    image.restart();
    image.wanted.wipe_signatures = true;
    image.start();
    image.run_until(image_state::seeding);
    CHECK(image.logged("the device has not been written to since; not reading it again"));
    CHECK(has_old_signature(image));
    image.close();
}

TEST_CASE("a signature inside the image is left to the image") {
    image_fixture image(image_mode::deploy);
    {
        std::fstream out(image.device_path(), std::ios::binary | std::ios::in | std::ios::out);
        out.write("LUKS\xba\xbe\0\1", 8);
    }
    image.start();
    image.run_until(image_state::checking);
    std::ifstream in(image.device_path(), std::ios::binary);
    CHECK(in.get() == 'L');
    CHECK_FALSE(image.logged("wiped"));
    image.close();
}
