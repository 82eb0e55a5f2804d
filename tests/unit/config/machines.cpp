#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

#include "config/key.hpp"
#include "config/load.hpp"
#include "config/mac_address.hpp"
#include "support/config_text.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// A valid machine of four lines; \p more follows them.
std::string machine(std::string const& name, std::string const& mac, std::string const& more = "") {
    return "[[machine]]\nname = '" + name + "'\nmac = '" + mac + "'\nimage = 'win'\n" + more;
}

std::string const one_mac = "52:54:00:00:00:01";

/// The errors of one machine after a valid image, which takes five lines.
lines errors_of(std::string const& text) {
    return bad(image("win") + text);
}

} // namespace

TEST_CASE("machines: every key is read, and the MAC address is normalised") {
    auto const loaded =
        good(image("win") +
             machine("PC-17", "52-54-00-AB-cd-01", "disk = 'nvme'\ngrow = 'last'\nnew_ids = true\nafter = 'wait'\n") +
             "[[machine]]\nname = 'b'\nserial = 'XY 1'\nimage = 'win'\n[boot]\nimage = 'win'\n");
    REQUIRE(loaded.machines.size() == 2);
    CHECK(loaded.machines[0].name == "PC-17");
    CHECK(loaded.machines[0].mac == "52:54:00:ab:cd:01");
    CHECK(loaded.machines[0].order.image == "win");
    CHECK(loaded.machines[0].order.disk == "nvme");
    CHECK(loaded.machines[0].order.grow == growth{growth::choice::last, 0});
    CHECK(loaded.machines[0].order.new_ids);
    CHECK(loaded.machines[0].order.after == after_deploy::wait);
    CHECK(loaded.machines[0].origin == "/etc/seedbed/t.toml:6");
    CHECK(loaded.machines[1].serial == "XY 1");
    CHECK(loaded.machines[1].order.disk == "auto");
    CHECK(loaded.machines[1].order.after == after_deploy::reboot);
    CHECK(loaded.boot.order.image == "win");
    for (auto const& key : machine_keys()) {
        CAPTURE(key.name);
        CHECK((key.name == "after" || !key.equal(loaded.machines[0], loaded.machines[1])) == (key.name != "image"));
    }
    CHECK_FALSE(loaded.machines[0] == loaded.machines[1]);
}

TEST_CASE("machines: an invalid value is refused with its line and the reason") {
    CHECK(errors_of(machine("a b", one_mac)) ==
          lines{"7: machine.name: 'a b' is not a host name: expected 1 to 63 characters of A-Z a-z 0-9 -, without a "
                "hyphen at an end, and not \"all\""});
    CHECK(errors_of(machine("all", one_mac)).size() == 1);
    CHECK(errors_of(machine("-a", one_mac)).size() == 1);
    CHECK(errors_of(machine("a", "52:54")) ==
          lines{"8: machine.mac: '52:54' is not a MAC address: expected 52:54:00:12:34:56"});
    CHECK(errors_of(machine("a", one_mac, "disk = 'biggest'\n"))
              .at(0)
              .starts_with("10: machine.disk: 'biggest' is not a"));
    CHECK(errors_of(machine("a", one_mac, "after = 'sleep'\n")) ==
          lines{"10: machine.after: 'sleep' is not known: expected reboot, poweroff or wait"});
    CHECK(errors_of(machine("a", one_mac, "grow = '0'\n")) ==
          lines{"10: machine.grow: '0': expected the number of a partition, 'last' or 'none'"});
    CHECK(errors_of(machine("a", one_mac, "serial = 'x'\n")) ==
          lines{"10: machine.serial: expected either \"mac\" or \"serial\""});
    CHECK(errors_of("[[machine]]\nname = 'a'\nimage = 'win'\n") ==
          lines{"6: machine.mac: expected either \"mac\" or \"serial\""});
    CHECK(errors_of("[[machine]]\nmac = '" + one_mac + "'\n").size() == 2); // name and image
    CHECK(bad(machine("a", one_mac)) == lines{"4: machine.image: no image has the name 'win'"});
    CHECK(bad(image("win", "", "deploy") + machine("a", one_mac)) ==
          lines{"9: machine.image: 'win' is not an image of mode \"seed\""});
    CHECK(bad("[boot]\ndisk = 'x'\n").at(0).starts_with("2: boot.disk: 'x' is not a disk rule"));
}

TEST_CASE("machines: what two of them share is refused with both places") {
    CHECK(errors_of(machine("PC-1", one_mac) + machine("pc-1", "52:54:00:00:00:02")) ==
          lines{"11: machine.name: 'pc-1' is already at /etc/t.toml:7"});
    CHECK(errors_of(machine("a", one_mac) + machine("b", "525400000001")) ==
          lines{"12: machine.mac: '52:54:00:00:00:01' is already at /etc/t.toml:8"});
}

TEST_CASE("machines: the number is limited") {
    std::string text = image("win");
    for (std::size_t i = 0; i <= most_machines; ++i) {
        text +=
            "[[machine]]\nname = 'm" + std::to_string(i) + "'\nserial = 's" + std::to_string(i) + "'\nimage = 'win'\n";
    }
    CHECK(bad(text).at(0).ends_with("machine: more than 10000 machines are configured"));
}

TEST_CASE("machines: machines.d holds only machines, and a new file is checked with all others") {
    temp_dir const folder;
    auto const main = folder / "seedbed.toml";
    std::filesystem::create_directory(folder / "machines.d");
    write(main, image("win"));
    write(folder / "machines.d/room.toml", machine("a", one_mac));
    CHECK(accepted(load_settings(main)).machines.at(0).name == "a");
    write(folder / "machines.d/other.toml", "[network]\n");
    CHECK(refused(load_settings(main)).at(0).ends_with("only [[machine]] tables are allowed in this folder's files"));
    std::filesystem::remove(folder / "machines.d/other.toml");

    auto const check = [&](std::string const& file, std::string const& text) {
        return check_machine_file(main, true, folder / "machines.d" / file, text, "room.csv");
    };
    std::string const inlined = "machine = [\n{ name = \"b\", mac = \"" + one_mac + "\", image = \"win\" },\n]\n";
    CHECK(accepted(check("room.toml", inlined)).machines.at(0).name == "b"); // replaces the file
    auto const errors = refused(check("new.toml", inlined));
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("room.csv:2: machine.mac: '52:54:00:00:00:01' is already at "));
}

TEST_CASE("MAC addresses are normalised") {
    for (auto const* const text : {"52:54:00:12:34:AB", "52-54-00-12-34-ab", "5254001234aB"}) {
        CHECK(parse_mac_address(text).value() == "52:54:00:12:34:ab");
    }
    for (auto const* const text : {"", "52:54:00:12:34", "52:54:00-12:34:56", "52:54:00:12:34:5g", "52:54:00:12:34:56:",
                                   "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "52540012345"}) {
        INFO(text);
        CHECK_FALSE(parse_mac_address(text));
    }
}
