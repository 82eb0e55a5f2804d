#include "config/load.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support/config_text.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

std::string const installed = SEEDBED_SOURCE_DIR "/config/seedbed.toml";

} // namespace

TEST_CASE("load: a link and its target are one file") {
    test::temp_dir const folder;
    write(folder / "a", "");
    write(folder / "c", "");
    std::filesystem::create_symlink("a", folder / "b");
    std::filesystem::create_hard_link(folder / "a", folder / "h");
    auto const name = (folder / "x.toml").string();
    auto const two = [&name](std::string const& torrents, std::string const& devices) {
        return parse_settings("[[image]]\nname='1'\ntorrent='" + torrents.substr(0, 1) + "'\ndevice='" +
                                  devices.substr(0, 1) + "'\nmode='seed'\n[[image]]\nname='2'\ntorrent='" +
                                  torrents.substr(1) + "'\ndevice='" + devices.substr(1) + "'\nmode='seed'\n",
                              name);
    };
    CHECK(refused(two("xy", "ab")) ==
          lines{name + ":9: image.device: '" + (folder / "b").string() + "' is the same file as at " + name + ":4"});
    CHECK(refused(two("ha", "xy")) ==
          lines{name + ":8: image.torrent: '" + (folder / "a").string() + "' is the same file as at " + name + ":3"});
    CHECK(refused(two("xy", "aa")).size() == 1); // one error, and no second one about the same file
    CHECK(two("xy", "ac"));
    CHECK(two("xy", "pq")); // neither exists
}

TEST_CASE("load: two nodes of one block device are one device") {
    test::temp_dir const folder;
    auto const node = [&folder](char const* name, unsigned minor) {
        return ::mknod((folder / name).c_str(), S_IFBLK | 0600, makedev(7, minor)) == 0;
    };
    if (!node("a", 1) || !node("b", 1) || !node("c", 2)) {
        WARN("skipped: needs the right to create device nodes");
        return;
    }
    auto const with = [&folder](std::string const& device) {
        return parse_settings("[[image]]\nname='1'\ntorrent='t'\ndevice='a'\nmode='seed'\n"
                              "[[image]]\nname='2'\ntorrent='u'\ndevice='" +
                                  device + "'\nmode='seed'\n",
                              (folder / "x.toml").string());
    };
    CHECK(refused(with("b")).size() == 1);
    CHECK(with("c"));
}

TEST_CASE("load: the main file is read first, then images.d in the order of its names") {
    test::temp_dir const folder;
    std::filesystem::create_directory(folder / "images.d");
    write(folder / "seedbed.toml", image("main") + "[log]\nlevel = 'debug'\n");
    write(folder / "images.d/20.toml", image("last"));
    write(folder / "images.d/10.toml", image("first") + image("second"));
    write(folder / "images.d/1A.toml", "[[image]]\nname='middle'\ntorrent='m'\ndevice='../m'\nmode='deploy'");
    write(folder / "images.d/README", "not read");
    write(folder / "images.d/10.toml~", "not read");
    write(folder / "images.d/.#10.toml", "not read");
    auto const loaded = accepted(load_settings(folder / "seedbed.toml"));
    CHECK(loaded.log.level == log_level::debug);
    lines names;
    for (auto const& each : loaded.images) {
        names.push_back(each.name);
    }
    CHECK(names == lines{"main", "first", "second", "middle", "last"});
    CHECK(loaded.images[3].torrent == (folder / "images.d/m").string());
    CHECK(loaded.images[3].device == (folder / "m").string());
    CHECK(loaded.images[2].origin == (folder / "images.d/10.toml").string() + ":6");
}

TEST_CASE("load: files of images.d may hold images only") {
    test::temp_dir const folder;
    std::filesystem::create_directory(folder / "images.d");
    write(folder / "seedbed.toml", "");
    write(folder / "images.d/a.toml", image("a") + "[log]\nlevel = 'nonsense'\n");
    write(folder / "images.d/b.toml", "imag = 1\n");
    CHECK(refused(load_settings(folder / "seedbed.toml")) ==
          lines{(folder / "images.d/a.toml").string() +
                    ":6: log: only [[image]] tables are allowed in this folder's files",
                (folder / "images.d/b.toml").string() +
                    ":1: imag: only [[image]] tables are allowed in this folder's files"});
}

TEST_CASE("load: the errors of all files are reported at once, by file and line") {
    test::temp_dir const folder;
    std::filesystem::create_directories(folder / "images.d/b.toml");
    auto const main = (folder / "seedbed.toml").string();
    write(main, image("a") + "[log]\nlevel = 1\n");
    write(folder / "images.d/a.toml", image("a", "x = 1\n"));
    write(folder / "images.d/c.toml", "=");
    auto const a = (folder / "images.d/a.toml").string();
    auto const errors = refused(load_settings(main));
    REQUIRE(errors.size() == 7);
    CHECK(errors[0] == main + ":7: log.level: expected a string, found an integer");
    CHECK(errors[1] == a + ":2: image.name: 'a' is already at " + main + ":2");
    CHECK(errors[2] == a + ":3: image.torrent: '/t/a' is already at " + main + ":3");
    CHECK(errors[3] == a + ":4: image.device: '/d/a' is already at " + main + ":4");
    CHECK(errors[4] == a + ":6: image.x: unknown key");
    CHECK(errors[5] == (folder / "images.d/b.toml").string() + ": not a regular file");
    CHECK(errors[6].starts_with((folder / "images.d/c.toml").string() + ":1: syntax: "));
}

TEST_CASE("load: a change of images.d is checked with all other files, and writes nothing") {
    test::temp_dir const folder;
    auto const main = folder / "seedbed.toml";
    auto const added = images_folder(main) / "b.toml";
    std::filesystem::create_directory(images_folder(main));
    write(main, image("main"));
    write(images_folder(main) / "a.toml", image("a"));
    CHECK(accepted(load_changed_settings(main, true, {added, image("b")})).images.size() == 3);
    CHECK(refused(load_changed_settings(main, true, {added, image("a")})).front() ==
          added.string() + ":2: image.name: 'a' is already at " + (images_folder(main) / "a.toml").string() + ":2");
    CHECK(refused(load_changed_settings(main, true, {added, "[log]\n"})).size() == 1);
    CHECK_FALSE(std::filesystem::exists(added));

    write(added, image("a"));
    CHECK(accepted(load_changed_settings(main, true, {added, image("b")})).images.back().name == "b");
    CHECK(accepted(load_changed_settings(main, true, {added, {}})).images.size() == 2);
}

TEST_CASE("load: a missing file is an error only if it is required") {
    test::temp_dir const folder;
    auto const main = folder / "seedbed.toml";
    lines const missing{main.string() + ": No such file or directory (ENOENT)"};
    CHECK(refused(load_settings(main)) == missing);
    check_equal(accepted(load_settings(main, false)), settings{});

    std::filesystem::create_directory(folder / "images.d");
    write(folder / "images.d/a.toml", image("a"));
    CHECK(accepted(load_settings(main, false)).images.size() == 1);

    std::filesystem::create_symlink("nothing", main);
    CHECK(refused(load_settings(main, false)) == missing);
}

TEST_CASE("load: files that are not configurations are refused without blocking") {
    test::temp_dir const folder;
    auto const main = folder / "seedbed.toml";
    std::string const not_regular = main.string() + ": not a regular file";
    SECTION("a FIFO") {
        REQUIRE(::mkfifo(main.c_str(), 0600) == 0);
        CHECK(refused(load_settings(main)) == lines{not_regular});
    }
    SECTION("a folder") {
        std::filesystem::create_directory(main);
        CHECK(refused(load_settings(main)) == lines{not_regular});
    }
    SECTION("more than 16 MiB") {
        write(main, "");
        std::filesystem::resize_file(main, (16 << 20) + 1);
        CHECK(refused(load_settings(main)) == lines{main.string() + ": larger than the limit of 16 MiB"});
    }
    SECTION("16 MiB are allowed") {
        write(main, std::string((16 << 20), '\n'));
        check_equal(accepted(load_settings(main)), settings{});
    }
    SECTION("an unreadable file") {
        write(main, "");
        REQUIRE(::chmod(main.c_str(), 0) == 0);
        if (::geteuid() != 0) {
            CHECK(refused(load_settings(main)) == lines{main.string() + ": Permission denied (EACCES)"});
        }
    }
    SECTION("images.d is a file") {
        write(main, "");
        write(folder / "images.d", "");
        CHECK(refused(load_settings(main)) == lines{(folder / "images.d").string() + ": Not a directory (ENOTDIR)"});
    }
}

TEST_CASE("load: the installed file changes nothing") {
    check_equal(accepted(load_settings(installed)), settings{});
}

TEST_CASE("load: the installed file shows the true defaults and valid images") {
    auto const text = uncommented(content(installed));
    auto loaded = accepted(parse_settings(text, installed));
    REQUIRE(loaded.images.size() == 2);
    CHECK(loaded.images[0].mode == image_mode::seed);
    CHECK(loaded.images[1].mode == image_mode::deploy);
    CHECK(loaded.images[0].allow_mounted == image_settings{}.allow_mounted);
    CHECK(loaded.images[0].verify_source == image_settings{}.verify_source);
    CHECK(loaded.images[0].upload_limit == 0);
    CHECK_FALSE(loaded.images[0].super_seeding);
    CHECK(loaded.images[1].verify == image_settings{}.verify);
    CHECK(loaded.images[1].check == image_settings{}.check);
    CHECK(std::exchange(loaded.resume.folder, "") == "/var/lib/seedbed"); // without systemd
    CHECK(loaded.images[0].fleet.on_complete_timeout == fleet_settings{}.on_complete_timeout);
    loaded.images.clear();
    CHECK(std::exchange(loaded.tracker.listen, std::nullopt) == tracker_settings::default_listen());
    // Without a fixed default: a cache as large as the pool equals one without a limit.
    CHECK(std::exchange(loaded.memory.cache, std::nullopt) == settings{}.memory.pool);
    CHECK(std::exchange(loaded.memory.packed, std::nullopt).has_value());
    CHECK(std::exchange(loaded.hashing.threads, std::nullopt).has_value());
    CHECK(std::exchange(loaded.metrics.listen, {}).size() == 1);
    CHECK(std::exchange(loaded.web.listen, {}).size() == 1);
    CHECK(std::exchange(loaded.network.allow, {}).size() == 2);
    CHECK(std::exchange(loaded.network.secret_file, "") == "/etc/seedbed/secret");
    REQUIRE(loaded.machines.size() == 1);
    CHECK(loaded.machines[0].order.disk == machine_settings{}.order.disk);
    CHECK(loaded.machines[0].order.after == machine_settings{}.order.after);
    loaded.machines.clear();
    CHECK(std::exchange(loaded.boot.order.image, "") == "debian");
    CHECK(std::exchange(loaded.boot.files, "") == "/srv/seedbed-boot");
    check_equal(loaded, settings{});
}
