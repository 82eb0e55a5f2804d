#include "config/load.hpp"

#include <chrono>
#include <string>

#include <catch2/catch.hpp>

#include "support/config_text.hpp"
#include "support/endpoints.hpp"
#include "support/loop_device.hpp"

using namespace seedbed;
using namespace seedbed::test;

TEST_CASE("load: every key of an image is read") {
    auto const loaded = good(R"(
[[image]]
name = "Win-10_a.b"
torrent = "/t/a.torrent"
device = "/dev/sda1"
mode = "seed"
profile = "nvme"
peers = ["192.0.2.1:1", "[::1]:65535"]
trackers = ["http://t.example/announce", "https://u:p@[::1]:8443/a?b=c", "udp://192.0.2.1:6969"]
serial = "S 1"
size = "1 GiB"
allow_mounted = true
verify = "full"
upload_limit = "100 MiB"
super_seeding = true
expect = 40
on_complete = ["hooks/../done", "--all", ""]
on_complete_timeout = "5 s"

[[image]]
name = "b"
torrent = "/t/b.torrent"
device = "/dev/sdb"
mode = "deploy"
size = 4096
verify = false
check = "none"
expect = ["192.0.2.1", "2001:DB8:0::1"]
on_complete = "/bin/true"
)");
    REQUIRE(loaded.images.size() == 2);
    image_settings a;
    a.name = "Win-10_a.b";
    a.torrent = "/t/a.torrent";
    a.device = "/dev/sda1";
    a.profile = storage_class::nvme;
    a.peers = test::endpoints({"192.0.2.1:1", "[::1]:65535"});
    a.trackers = {"http://t.example/announce", "https://u:p@[::1]:8443/a?b=c", "udp://192.0.2.1:6969"};
    a.serial = "S 1";
    a.size = 1 << 30;
    a.allow_mounted = true;
    a.verify_source = source_check::full;
    a.upload_limit = 100 << 20;
    a.super_seeding = true;
    a.fleet.expect = 40;
    a.fleet.on_complete = {"/etc/seedbed/done", "--all", ""};
    a.fleet.on_complete_timeout = std::chrono::seconds(5);
    CHECK(loaded.images[0] == a);
    CHECK(loaded.images[0].origin == "/etc/seedbed/t.toml:2");
    image_settings b;
    b.name = "b";
    b.torrent = "/t/b.torrent";
    b.device = "/dev/sdb";
    b.mode = image_mode::deploy;
    b.size = 4096;
    b.verify = false;
    b.check = target_check::none;
    b.fleet.expect_hosts = test::addresses({"192.0.2.1", "2001:db8::1"});
    b.fleet.on_complete = {"/bin/true"};
    CHECK(loaded.images[1] == b);
    CHECK(loaded.images[1].origin == "/etc/seedbed/t.toml:20");
}

TEST_CASE("load: the expected hosts of an image") {
    auto const of = [](std::string const& more) { return bad(image("a", more)); };
    CHECK(of("expect = 0") == lines{"6: image.expect: 0 is out of range: 1 to 100000"});
    CHECK(of("expect = '40'") == lines{"6: image.expect: expected an integer, found a string"});
    CHECK(of("expect = []") == lines{"6: image.expect: empty: expected a number of hosts or at least one address"});
    CHECK(of("expect = [40]") == lines{"6: image.expect: expected a string, found an integer"});
    CHECK(of("expect = ['pc1', '192.0.2.1:6881', '[::1]']").size() == 3);
    CHECK(of("expect = ['::1',\n'0::1']") == lines{"7: image.expect: '0::1' is listed twice"});
    CHECK(of("on_complete = '/bin/true'") == lines{"6: image.on_complete: requires \"expect\""});
    CHECK(of("expect = 1\non_complete = ''") == lines{"7: image.on_complete: '' is not the path of a program"});
    CHECK(of("expect = 1\non_complete = '/bin/'") ==
          lines{"7: image.on_complete: '/bin/' is not the path of a program"});
    CHECK(of("expect = 1\non_complete = '/bin/true'\non_complete_timeout = 999").size() == 1);
    CHECK(good(image("a", "expect = 1\non_complete = []")).images[0].fleet.on_complete.empty());
}

TEST_CASE("load: the required keys of an image") {
    CHECK(bad("\n[[image]]\n") ==
          lines{"2: image.name: missing: expected a unique name", "2: image.torrent: missing: expected a path",
                "2: image.device: missing: expected a path", "2: image.mode: missing: expected seed or deploy"});
}

TEST_CASE("load: image names") {
    CHECK(good(image(std::string(64, 'x'))).images.size() == 1);
    for (std::string const& name :
         {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a/b"), std::string("\xc3\xa9")}) {
        CHECK(bad("[[image]]\nname='" + name + "'\ntorrent='/t'\ndevice='/d'\nmode='seed'") ==
              lines{"2: image.name: '" + name + "' is not a name: expected 1 to 64 characters of A-Z a-z 0-9 . _ -"});
    }
    CHECK(bad("[[image]]\nname='..'\ntorrent='/t'\ndevice='/d'\nmode='seed'") ==
          lines{"2: image.name: '..' is not a name: it means a folder"});
}

TEST_CASE("load: keys of the other mode are refused") {
    CHECK(bad(image("a", "verify = true\nallow_mounted = true")) ==
          lines{"6: image.verify: expected a string, found a boolean"});
    CHECK(bad(image("a", "verify = 'later'\ncheck = 'full'")) ==
          lines{"6: image.verify: 'later' is not known: expected lazy, full or none",
                "7: image.check: only for mode \"deploy\""});
    CHECK(bad(image("a", "verify = 'full'\nsuper_seeding = true", "deploy")) ==
          lines{"6: image.verify: expected true or false, found a string",
                "7: image.super_seeding: only for mode \"seed\""});
    CHECK(bad(image("a", "check = 'half'", "deploy")) ==
          lines{"6: image.check: 'half' is not known: expected resume, full or none"});
    CHECK(bad(image("a", "verify = true\nallow_mounted = false", "deploy")) ==
          lines{"7: image.allow_mounted: only for mode \"seed\""});
    CHECK(bad(image("a", "verify = true\nallow_mounted = true", "?")).size() == 1);
}

TEST_CASE("load: peers, trackers and serial numbers are checked") {
    CHECK(bad(image("a", "peers = ['192.0.2.1:1',\n'host:1']"))[0].starts_with("7: image.peers: 'host:1' does not"));
    CHECK(bad(image("a", "serial = ''")) ==
          lines{"6: image.serial: empty: leave the key out if the serial number does not matter"});
    auto const tracker = [](std::string const& url) {
        auto const errors = bad(image("a", "trackers = [\"" + url + "\"]"));
        REQUIRE(errors.size() == 1);
        return errors[0];
    };
    std::string const start = "6: image.trackers: ";
    for (std::string const url : {"", "host", "ftp://host", "HTTP://host", "http:/host", "wss://host"}) {
        CHECK(tracker(url) ==
              start + "'" + url + "' is not a tracker: expected a URL with http://, https:// or udp://");
    }
    for (std::string const url :
         {"http://", "http:///a", "http://:80", "http://ho!st", "http://[::1", "http://[1.2.3.4]", "http://u@/"}) {
        CHECK(tracker(url) == start + "'" + url + "' names no host");
    }
    for (std::string const url :
         {"http://h:", "http://h:0/", "http://h:65536", "udp://h", "udp://h/1:2", "http://[::1]:x"}) {
        CHECK(tracker(url) == start + "'" + url + "' has no port, 1 to 65535, after its host");
    }
    CHECK(tracker("http://h/a b") == start + "'http://h/a b' contains a character that is not allowed in a URL");
    CHECK(tracker("http://h/\\u007f") ==
          start + "'http://h/\\u007F' contains a character that is not allowed in a URL");
    CHECK(good(image("a", "trackers = ['http://h:80?x', 'https://h#x']")).images[0].trackers.size() == 2);
    CHECK(tracker("http://h/\\n") == start + "'http://h/\\u000A' contains a character that is not allowed in a URL");
}

TEST_CASE("load: relative paths start at the file's folder, and paths are normalised") {
    auto const loaded =
        good("[[image]]\nname='a'\ntorrent='t/../a.torrent'\ndevice='//dev/./disk/../sda'\nmode='seed'");
    CHECK(loaded.images[0].torrent == "/etc/seedbed/a.torrent");
    CHECK(loaded.images[0].device == "/dev/sda");
    auto const here = accepted(parse_settings("[[image]]\nname='a'\ntorrent='t'\ndevice='d'\nmode='seed'", "x.toml"));
    CHECK(here.images[0].torrent == (std::filesystem::current_path() / "t").string());
}

TEST_CASE("load: paths that do not name a file") {
    for (std::string const path : {"", "/", "/dev/", "a/..", "."}) {
        CHECK(bad("[[image]]\nname='a'\ntorrent='" + path + "'\ndevice='/d'\nmode='seed'") ==
              lines{"3: image.torrent: '" + path + "' is not the path of a file"});
    }
    for (std::string const path : {"/a\\u0000b", "/a\\nb"}) {
        CHECK(bad("[[image]]\nname='a'\ntorrent='/t'\ndevice=\"" + path + "\"\nmode='seed'") ==
              lines{"4: image.device: a path can contain neither NUL nor newline"});
    }
}

TEST_CASE("load: two images cannot share a name, torrent or device") {
    auto const second = [](std::string const& name, std::string const& torrent, std::string const& device) {
        return "[[image]]\nname='" + name + "'\ntorrent='" + torrent + "'\ndevice='" + device + "'\nmode='seed'\n";
    };
    CHECK(good(image("a") + image("b")).images.size() == 2);
    CHECK(bad(image("a") + second("a", "/t/b", "/d/b")) == lines{"7: image.name: 'a' is already at /etc/t.toml:2"});
    CHECK(bad(image("a") + second("b", "/t/x/../a", "/d/b")) ==
          lines{"8: image.torrent: '/t/a' is already at /etc/t.toml:3"});
    CHECK(bad(image("a") + second("b", "/t/b", "/d//a")) ==
          lines{"9: image.device: '/d/a' is already at /etc/t.toml:4"});
    CHECK(bad(image("a") + image("a") + image("a")).size() == 6);
    CHECK(bad(image("a") + image("a", "x = 1")).size() == 4); // next to another error
    CHECK(bad("[[image]]\n[[image]]\n").size() == 8);         // missing keys are not duplicates
}

TEST_CASE("load: no image is written to bytes of another") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    test::loop_device const loop;
    test::loop_device const other;
    auto const at = [](std::string const& name, std::string const& device, std::string const& mode) {
        return "[[image]]\nname='" + name + "'\ntorrent='/t/" + name + "'\ndevice='" + device + "'\nmode='" + mode +
               "'\n";
    };
    auto const file = loop.backing_file().string();
    CHECK(bad(at("a", loop.path(), "seed") + at("b", file, "deploy")) ==
          lines{"9: image.device: '" + file + "' shares bytes with '" + loop.path() +
                "' at /etc/t.toml:4, and one of them is written"});
    CHECK(bad(at("a", file, "deploy") + at("b", loop.path(), "seed")).size() == 1);
    CHECK(good(at("a", loop.path(), "seed") + at("b", file, "seed")).images.size() == 2);
    CHECK(good(at("a", other.path(), "deploy") + at("b", file, "seed")).images.size() == 2);
}
