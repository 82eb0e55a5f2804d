#include "daemon/commands/image_config.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/image_table_text.hpp"
#include "config/load.hpp"
#include "daemon/commands/create.hpp"
#include "daemon/commands/image_list.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;
using seedbed::test::temp_dir;
using lines = std::vector<std::string>;

namespace {

/// A configuration without a daemon, and a raw image, a.img with a.torrent.
struct server_folder {
    temp_dir const folder;
    config_location const config{folder / "seedbed.toml", true};

    server_folder() {
        write("seedbed.toml", "[control]\nsocket = '" + (folder / "no.sock").string() + "'\n");
        make_image("a");
    }
    void write(std::string const& name, std::string const& text) const { std::ofstream(folder / name) << text; }
    void make_image(std::string const& name) const {
        write(name + ".img", std::string(100'000, name.front()));
        REQUIRE(create_command({file(name + ".img"), "-o", file(name + ".torrent"), "--piece-size", "16 KiB"}) ==
                exit_ok);
    }
    [[nodiscard]] std::string file(std::string const& name) const { return (folder / name).string(); }
    [[nodiscard]] image_change add(std::string const& name, std::string const& image = "a") const {
        return add_image(config, {name, file(image + ".torrent"), file(image + ".img")});
    }
    [[nodiscard]] bool has(std::string const& name) const {
        return std::filesystem::exists(folder / "images.d" / (name + ".toml"));
    }
};

} // namespace

TEST_CASE("image add: the image is checked and written, and is then configured") {
    server_folder const at;
    auto const added = at.add("one");
    CHECK(added.code == exit_ok);
    REQUIRE(added.lines.size() == 3);
    CHECK_THAT(added.lines[0], StartsWith("one: seed from " + at.file("a.img")));
    CHECK(added.lines[1] == "wrote " + at.file("images.d/one.toml"));
    CHECK_THAT(added.lines[2], StartsWith("no daemon is running here"));
    auto const loaded = load_settings(at.config.file);
    REQUIRE(loaded);
    REQUIRE(loaded->images.size() == 1);
    CHECK(loaded->images[0].name == "one");
    CHECK(loaded->images[0].torrent == at.file("a.torrent"));
    CHECK(loaded->images[0].device == at.file("a.img"));
    CHECK(loaded->images[0].mode == image_mode::seed);
}

TEST_CASE("image add: a refused image leaves nothing behind") {
    server_folder const at;
    CHECK_THAT(at.add("bad/name").lines.front(), StartsWith("'bad/name' is not a name"));
    CHECK_THAT(at.add("..").lines.front(), Contains("it means a folder"));
    CHECK_THAT(at.add(".hidden").lines.front(), Contains("starts with a dot"));
    CHECK_THAT(at.add("one", "missing").lines.front(), Contains("No such file"));
    at.write("a.img", "too short");
    CHECK_THAT(at.add("one").lines.front(), StartsWith("one: would fail: " + at.file("a.img")));
    CHECK(at.add("one").code == exit_refused);
    auto const no_device = add_image(at.config, {"one", at.file("a.torrent"), ""});
    CHECK_THAT(no_device.lines.front(), EndsWith(": describes a raw image; add the DEVICE or the file that holds it"));
    CHECK_FALSE(at.has("one"));
}

TEST_CASE("image add: no name, device or torrent is added twice") {
    server_folder const at;
    at.make_image("b");
    REQUIRE(at.add("one").code == exit_ok);
    auto const again = at.add("one", "b");
    CHECK(again.lines == lines{"image 'one' already exists: " + at.file("images.d/one.toml") + ":1"});
    CHECK_THAT(at.add("two").lines.front(), Contains("is already at"));
    std::filesystem::copy(at.file("a.torrent"), at.file("copy.torrent"));
    std::filesystem::copy(at.file("a.img"), at.file("copy.img"));
    CHECK_THAT(at.add("two", "copy").lines.front(), Contains("has the same info-hash as"));
    CHECK_FALSE(at.has("two"));
    CHECK(at.add("two", "b").code == exit_ok);
}

TEST_CASE("image add: an error anywhere in the configuration is reported, and nothing is written") {
    server_folder const at;
    at.write("seedbed.toml", "[nonsense]\n");
    auto const refused = at.add("one");
    CHECK(refused.code == exit_usage);
    CHECK_THAT(refused.lines.front(), Contains("nonsense"));
    CHECK_FALSE(at.has("one"));
}

TEST_CASE("image remove: only a file that holds nothing else is removed") {
    server_folder const at;
    at.make_image("b");
    REQUIRE(at.add("one").code == exit_ok);
    CHECK(remove_image(at.config, "ones").lines == lines{"there is no image 'ones' (did you mean 'one'?)"});
    std::ofstream(at.folder / "images.d/one.toml", std::ios::app)
        << image_table_text("two", at.file("b.torrent"), at.file("b.img"));
    for (auto const* const name : {"one", "two"}) {
        auto const refused = remove_image(at.config, name);
        CHECK(refused.code == exit_refused);
        CHECK_THAT(refused.lines.front(), Contains("shares its file with other tables"));
    }
    REQUIRE(std::filesystem::remove(at.folder / "images.d/one.toml"));
    REQUIRE(at.add("one").code == exit_ok);
    CHECK(remove_image(at.config, "one").code == exit_ok);
    CHECK_FALSE(at.has("one"));
}

TEST_CASE("image list: each image with its sizes, or the reason why they are unknown") {
    server_folder const at;
    REQUIRE(at.add("one").code == exit_ok);
    at.make_image("b");
    REQUIRE(at.add("two", "b").code == exit_ok);
    std::filesystem::remove(at.file("b.torrent"));
    auto const images = list_images(load_settings(at.config.file).value());
    REQUIRE(images.size() == 2);
    CHECK(images[0].kind == "raw");
    CHECK(images[0].bytes == 100'000);
    CHECK(images[0].state.empty());
    CHECK_THAT(images[1].error, Contains("No such file"));
    auto const table = image_list_table(images, 0);
    REQUIRE(table.size() == 4);
    CHECK_THAT(table[1], StartsWith("one") && Contains("98 KiB") && Contains(at.file("a.img")));
    CHECK_THAT(table[3], StartsWith("two: " + at.file("b.torrent")));
    CHECK_THAT(image_list_json(images),
               Contains("\"bytes\": 100000") && Contains("\"packed_bytes\": null") && Contains("\"state\": null"));
}

TEST_CASE("image table: any path is a valid TOML string") {
    auto const text = image_table_text("sda1", "/srv/a \"b\"\\c\t\x7f.torrent", "/dev/sda1");
    auto const parsed = parse_settings(text, "x.toml");
    INFO((parsed ? "" : parsed.error().lines.front()));
    REQUIRE(parsed);
    CHECK(parsed->images.at(0).torrent == "/srv/a \"b\"\\c\t\x7f.torrent");
}

TEST_CASE("image table: a name is made from the file's") {
    CHECK(suggested_name("/srv/win11.sbi") == "win11");
    CHECK(suggested_name("vg root.torrent") == "vg-root");
    CHECK(suggested_name("/srv/.sbi") == "sbi");
    CHECK(suggested_name("\xc3\xa4.sbi") == "image");
    CHECK(suggested_name(std::string(100, 'a')) == std::string(64, 'a'));
}

TEST_CASE("image table: a device has its name with the serial number") {
    std::string const device = "/dev/loop0";
    if (!std::filesystem::is_block_file(device)) {
        WARN("no " + device);
        return;
    }
    temp_dir const folder;
    std::filesystem::create_symlink("/dev/null", folder / "ata-AAA");
    CHECK(stable_device_name(device, folder.path()) == device);
    std::filesystem::create_symlink(device, folder / "wwn-1");
    CHECK(stable_device_name(device, folder.path()) == (folder / "wwn-1").string());
    std::filesystem::create_symlink(device, folder / "ata-DISK_S4XYZ");
    CHECK(stable_device_name(device, folder.path()) == (folder / "ata-DISK_S4XYZ").string());
    CHECK(stable_device_name(device, folder / "missing") == device);
}

TEST_CASE("image table: a link, and a path that is not a device, stay as they are") {
    temp_dir const folder;
    std::ofstream(folder / "file") << "x";
    std::filesystem::create_symlink("file", folder / "link");
    CHECK(stable_device_name((folder / "file").string(), folder.path()) == (folder / "file").string());
    CHECK(stable_device_name((folder / "link").string(), folder.path()) == (folder / "link").string());
}
