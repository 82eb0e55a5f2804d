#include "config/load.hpp"

#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;
using lines = std::vector<std::string>;

namespace {

void write(std::filesystem::path const& path, std::string const& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    REQUIRE(file.flush());
}

std::string content(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

settings accepted(result<settings, config_errors> loaded) {
    for (auto const& line : loaded ? lines{} : loaded.error().lines) {
        UNSCOPED_INFO(line);
    }
    REQUIRE(loaded);
    return *std::move(loaded);
}

lines refused(result<settings, config_errors> const& loaded) {
    REQUIRE_FALSE(loaded);
    REQUIRE_FALSE(loaded.error().lines.empty());
    return loaded.error().lines;
}

settings good(std::string const& text) {
    return accepted(parse_settings(text, "/etc/seedbed/t.toml"));
}

/// The errors of a text, without the name of its file.
lines bad(std::string const& text) {
    auto errors = refused(parse_settings(text, "/etc/t.toml"));
    for (auto& line : errors) {
        REQUIRE(line.starts_with("/etc/t.toml:"));
        line.erase(0, std::string("/etc/t.toml:").size());
    }
    return errors;
}

/// An image with nothing wrong; \p more goes behind its four lines and the one of the header.
std::string image(std::string const& name, std::string const& more = "", std::string const& mode = "seed") {
    return "[[image]]\nname = '" + name + "'\ntorrent = '/t/" + name + "'\ndevice = '/d/" + name + "'\nmode = '" +
           mode + "'\n" + more;
}

void check_equal(settings const& a, settings const& b) {
    CHECK(a.images == b.images);
    CHECK(a.network == b.network);
    CHECK(a.tracker == b.tracker);
    CHECK(a.memory == b.memory);
    CHECK(a.hashing == b.hashing);
    CHECK(a.resume == b.resume);
    CHECK(a.control == b.control);
    CHECK(a.metrics == b.metrics);
    CHECK(a.log == b.log);
    CHECK(a.profiles == b.profiles);
}

} // namespace

TEST_CASE("load: an empty text gives the defaults") {
    check_equal(good(""), settings{});
    check_equal(good("[network]\n[memory]\n[hashing]\n[log]\n[profile.hdd]\n"), settings{});
}

TEST_CASE("load: every key of an image arrives") {
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
    a.peers = {"192.0.2.1:1", "[::1]:65535"};
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
    b.fleet.expect_hosts = {"192.0.2.1", "2001:db8::1"};
    b.fleet.on_complete = {"/bin/true"};
    CHECK(loaded.images[1] == b);
    CHECK(loaded.images[1].origin == "/etc/seedbed/t.toml:20");
}

TEST_CASE("load: every key of the other tables arrives") {
    auto const loaded = good(R"(
[network]
listen = ["127.0.0.1:1", "[::1]:65520"]
local_discovery = false
upload_limit = 2147483647
download_limit = "1 MiB"
connections = 65535
upload_slots = 3
slow_start = true
read_once = false
shards = 16
[resume]
interval = "5 s"
folder = "state"
[tracker]
enabled = false
listen = "127.0.0.1:2"
interval = "3600 s"
min_interval = "2 s"
peers_per_image = 1
peers = 1000000
numwant = 2000
max_request = 65536
[memory]
pool = "1 TiB"
cache = "3 MiB"
cache_shards = 8
huge_pages = false
max_torrent = 2147483647
[hashing]
threads = 3
ahead = false
[control]
socket = "here/../s.sock"
[metrics]
listen = ["127.0.0.1:9150", "[::1]:9150"]
[log]
level = "trace"
[profile.hdd]
threads = 1
coalesce = 16384
delay = 0
read_ahead = "16 KiB"
queue_depth = 1
direct_io = true
io_engine = "io_uring"
[profile.sata_ssd]
threads = 256
coalesce = "64 MiB"
delay = "10s"
read_ahead = "16 MiB"
queue_depth = 1024
direct_io = false
io_engine = "threads"
[profile.nvme]
delay = "7 ms"
direct_io = "auto"
io_engine = "auto"
)");
    CHECK(loaded.network.listen == lines{"127.0.0.1:1", "[::1]:65520"});
    CHECK_FALSE(loaded.network.local_discovery);
    CHECK(loaded.network.upload_limit == 2147483647);
    CHECK(loaded.network.download_limit == 1 << 20);
    CHECK(loaded.network.connections == 65535);
    CHECK(loaded.network.upload_slots == 3);
    CHECK(loaded.network.slow_start);
    CHECK_FALSE(loaded.network.read_once);
    CHECK(loaded.network.shards == 16);
    CHECK(loaded.resume.interval == std::chrono::seconds(5));
    CHECK(loaded.resume.folder == "/etc/seedbed/state");
    tracker_settings tracker;
    tracker.enabled = false;
    tracker.listen = lines{"127.0.0.1:2"};
    tracker.interval = std::chrono::hours(1);
    tracker.min_interval = std::chrono::seconds(2);
    tracker.peers_per_image = 1;
    tracker.peers = 1'000'000;
    tracker.numwant = 2000;
    tracker.max_request = 65536;
    CHECK(loaded.tracker == tracker);
    CHECK(loaded.control.socket == "/etc/seedbed/s.sock");
    CHECK(loaded.metrics.listen == lines{"127.0.0.1:9150", "[::1]:9150"});
    CHECK(loaded.memory.pool == 1LL << 40);
    CHECK(loaded.memory.cache == 3 << 20);
    CHECK(loaded.memory.cache_shards == 8);
    CHECK_FALSE(loaded.memory.huge_pages);
    CHECK(loaded.memory.max_torrent == 2147483647);
    CHECK(loaded.hashing.threads == 3);
    CHECK_FALSE(loaded.hashing.ahead);
    CHECK(loaded.log.level == log_level::trace);
    using std::chrono::milliseconds;
    CHECK(loaded.profile(storage_class::hdd) == io_profile{.threads = 1,
                                                           .coalesce = 16 << 10,
                                                           .backlog_runs = 4,
                                                           .delay = milliseconds(0),
                                                           .read_ahead = 16 << 10,
                                                           .queue_depth = 1,
                                                           .direct_io = direct_io_mode::on,
                                                           .io_engine = io_engine_kind::io_uring,
                                                           .elevator = true});
    CHECK(loaded.profile(storage_class::sata_ssd) == io_profile{.threads = 256,
                                                                .coalesce = 64 << 20,
                                                                .delay = milliseconds(10'000),
                                                                .read_ahead = 16 << 20,
                                                                .queue_depth = 1024,
                                                                .direct_io = direct_io_mode::off,
                                                                .io_engine = io_engine_kind::threads});
    auto nvme = default_profile(storage_class::nvme);
    nvme.delay = milliseconds(7);
    CHECK(loaded.profile(storage_class::nvme) == nvme);
}

TEST_CASE("load: the sizes of pool and cache") {
    CHECK(good("memory.pool = '16 MiB'").memory.pool == 16 << 20);
    CHECK(good("").memory.cache == std::nullopt);
    CHECK(good("memory.cache = 0").memory.cache == 0);
    CHECK(good("memory.cache = '0'").memory.cache == 0);
    CHECK(good("memory.cache = '1 TiB'").memory.cache == 1LL << 40);
    CHECK(good("memory.pool = '16 MiB'\nmemory.cache = '1 GiB'").memory.cache ==
          1 << 30); // what is not there is no error
}

TEST_CASE("load: each number of cache shards is a power of two") {
    for (int shards = 1; shards <= 1024; shards *= 2) {
        CHECK(good("memory.cache_shards = " + std::to_string(shards)).memory.cache_shards == shards);
    }
    for (std::string const text : {"3", "6", "1023"}) {
        CHECK(bad("\n[memory]\ncache_shards = " + text) ==
              lines{"3: memory.cache_shards: " + text + " is not a power of two"});
    }
    for (std::string const text : {"0", "-1", "-32", "2048", "4294967297"}) {
        CHECK(bad("[memory]\ncache_shards = " + text) ==
              lines{"2: memory.cache_shards: " + text + " is out of range: 1 to 1024"});
    }
}

TEST_CASE("load: the number of hash threads") {
    CHECK(good("").hashing.threads == std::nullopt);
    CHECK(good("hashing.threads = 1").hashing.threads == 1);
    CHECK(good("hashing.threads = 1024").hashing.threads == 1024);
}

TEST_CASE("load: direct I/O and engine of each profile") {
    for (auto const cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        auto const profile = [cls](std::string const& key, std::string const& value) {
            auto const loaded = good("[profile." + std::string(to_string(cls)) + "]\n" + key + " = " + value);
            for (auto const other : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
                CHECK((other == cls || loaded.profile(other) == default_profile(other)));
            }
            return loaded.profile(cls);
        };
        CHECK(profile("direct_io", "true").direct_io == direct_io_mode::on);
        CHECK(profile("direct_io", "false").direct_io == direct_io_mode::off);
        CHECK(profile("direct_io", "'auto'") == default_profile(cls));
        CHECK(profile("io_engine", "'threads'").io_engine == io_engine_kind::threads);
        CHECK(profile("io_engine", "'io_uring'").io_engine == io_engine_kind::io_uring);
        CHECK(profile("io_engine", "'auto'") == default_profile(cls));
        CHECK(default_profile(cls).direct_io == direct_io_mode::automatic);
        CHECK(default_profile(cls).io_engine == io_engine_kind::automatic);
    }
}

TEST_CASE("load: the order of requests is no key") {
    CHECK(bad("profile.hdd.elevator = false") == lines{"1: profile.hdd.elevator: unknown key"});
}

TEST_CASE("load: the tracker's intervals fit each other") {
    CHECK(good("tracker.interval = '5 s'").tracker.min_interval == std::chrono::seconds(5));
    CHECK(bad("[tracker]\ninterval = '5 s'\nmin_interval = '6 s'") ==
          lines{"3: tracker.min_interval: 6 s is longer than the interval, 5 s"});
    CHECK(bad("[tracker]\nlisten = ['localhost:1']").size() == 1);
    CHECK(bad("[tracker]\nnumwant = 0") == lines{"2: tracker.numwant: 0 is out of range: 1 to 2000"});
}

TEST_CASE("load: whom an image is for") {
    auto const of = [](std::string const& more) { return bad(image("a", more)); };
    CHECK(of("expect = 0") == lines{"6: image.expect: 0 is out of range: 1 to 100000"});
    CHECK(of("expect = '40'") == lines{"6: image.expect: expected an integer, found a string"});
    CHECK(of("expect = []") == lines{"6: image.expect: empty: expected a number of hosts or at least one address"});
    CHECK(of("expect = [40]") == lines{"6: image.expect: expected a string, found an integer"});
    CHECK(of("expect = ['pc1', '192.0.2.1:6881', '[::1]']").size() == 3);
    CHECK(of("expect = ['::1',\n'0::1']") == lines{"7: image.expect: '0::1' stands there twice"});
    CHECK(of("on_complete = '/bin/true'") ==
          lines{"6: image.on_complete: never runs without expect, which tells when a deployment is complete"});
    CHECK(of("expect = 1\non_complete = ''") == lines{"7: image.on_complete: '' is not the path of a program"});
    CHECK(of("expect = 1\non_complete = '/bin/'") ==
          lines{"7: image.on_complete: '/bin/' is not the path of a program"});
    CHECK(of("expect = 1\non_complete = '/bin/true'\non_complete_timeout = 999").size() == 1);
    CHECK(good(image("a", "expect = 1\non_complete = []")).images[0].fleet.on_complete.empty());
}

TEST_CASE("load: the control socket") {
    CHECK(good("control.socket = ''").control.socket.empty());
    CHECK(good("control.socket = '/" + std::string(95, 's') + "'").control.socket.size() == 96);
    CHECK(
        bad("control.socket = '/" + std::string(96, 's') + "'") ==
        lines{"1: control.socket: '/" + std::string(96, 's') + "' is too long: a socket's path has at most 96 bytes"});
    CHECK(bad("control.socket = '/run/'") == lines{"1: control.socket: '/run/' is not the path of a file"});
    CHECK(bad("control.socket = \"/a\\nb\"") == lines{"1: control.socket: a path may hold neither NUL nor newline"});
    CHECK(bad("control.socket = false") == lines{"1: control.socket: expected a string, found a boolean"});
    CHECK(bad("control.sock = ''") == lines{"1: control.sock: unknown key; did you mean socket?"});
}

TEST_CASE("load: where metrics are served") {
    CHECK(good("metrics.listen = '127.0.0.1:9150'").metrics.listen == lines{"127.0.0.1:9150"});
    CHECK(good("").metrics.listen.empty());
    CHECK(bad("metrics.listen = []") == lines{"1: metrics.listen: empty: expected at least one ADDRESS:PORT"});
    CHECK(bad("metrics.listen = ['localhost:1', '[::1]:9150', '[0::1]:9150']").size() == 2);
}

TEST_CASE("load: each level is known") {
    for (auto const level :
         {log_level::error, log_level::warning, log_level::info, log_level::debug, log_level::trace}) {
        CHECK(good(std::string("log.level = '") + to_string(level) + "'").log.level == level);
    }
}

TEST_CASE("load: listen is one text or a list") {
    CHECK(good("network.listen = '192.0.2.1:80'").network.listen == lines{"192.0.2.1:80"});
    CHECK(good("network.listen = ['192.0.2.1:80', '192.0.2.1:81']").network.listen ==
          lines{"192.0.2.1:80", "192.0.2.1:81"});
    CHECK(bad("[network]\nlisten = []") == lines{"2: network.listen: empty: expected at least one ADDRESS:PORT"});
    CHECK(bad("[network]\nlisten = 6881") == lines{"2: network.listen: expected a string, found an integer"});
    CHECK(bad("[network]\nlisten = [\n'[::]:6881',\n'[0:0::0]:6881']") ==
          lines{"4: network.listen: '[0:0::0]:6881' is the same as '[::]:6881'"});
}

TEST_CASE("load: an endpoint is a literal address and a port") {
    std::string const no_address =
        " does not start with a literal address: expected 192.0.2.1:6881 or [2001:db8::1]:6881";
    for (std::string const text : {"", "6881", ":6881", "localhost:6881", "eth0:6881", "::1:6881", "[::1:6881",
                                   "[127.0.0.1]:6881", "1.2.3:6881", "01.2.3.4:6881", "[fe80::1%eth0]:6881", "[]:1"}) {
        CHECK(bad("[network]\nlisten = '" + text + "'") == lines{"2: network.listen: '" + text + "'" + no_address});
    }
    for (std::string const text : {"1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:+1",
                                   "1.2.3.4:080", "1.2.3.4:80x", "[::1]", "[::1]:", "1.2.3.4:1:2"}) {
        CHECK(bad("[network]\nlisten = '" + text + "'") ==
              lines{"2: network.listen: '" + text + "' does not end with a port, 1 to 65535"});
    }
    CHECK(bad("[network]\nlisten = \"1.2.3.4\\u0000:1\"")[0].starts_with(
        "2: network.listen: '1.2.3.4\\u0000:1' does not start"));
}

TEST_CASE("load: a syntax error names its line") {
    auto const errors = bad("[log]\nlevel = 'info'\nlevel = 'info'\n");
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].starts_with("3: syntax: "));
    CHECK(bad("\n[log\n")[0].starts_with("2: syntax: "));
    CHECK(bad("a = \"\xff\"")[0].starts_with("1: syntax: "));
}

TEST_CASE("load: a key of very many parts is refused before it overflows the stack") {
    auto const deep = [](std::size_t parts) {
        std::string key = "a";
        for (std::size_t i = 1; i < parts; ++i) {
            key += ".a";
        }
        return key;
    };
    lines const refusal{"2: syntax: a key has more than 32 parts"};
    CHECK(bad("\n[" + deep(1'000'000) + "]\n") == refusal);
    CHECK(bad("\n" + deep(33) + " = 1") == refusal);
    CHECK(bad("\n" + deep(32) + " = 1") == lines{"2: a: unknown key"});
    CHECK(bad("\nx = { y = '''a'''', " + deep(33) + " = 1 }") == refusal);
    CHECK(bad("\nx = [\"\\\"\", {" + deep(33) + " = 1 }]") == refusal);
}

TEST_CASE("load: dots in strings and comments are no key") {
    std::string const dots = "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a";
    CHECK(good(image("a", "serial = '" + dots + "' # " + dots)).images[0].serial == dots);
    CHECK(good(image("a", "serial = \"\\\"" + dots + "\"")).images[0].serial == "\"" + dots);
    CHECK(good(image("a", "serial = \"\"\"\n\"" + dots + "\"\"\"")).images[0].serial == "\"" + dots);
}

TEST_CASE("load: unknown keys are named, with the key that was probably meant") {
    CHECK(bad("x = 1\n[[image]]\nname='a'\ntorrent='/t'\ndevise='/d'\nmode='seed'\n[network]\nLocal-discovery=true\n"
              "[profile.sata]\nthreads = 1\n[profile.hdd]\nreadahead=1\n[memory]\nentirely_else=1\n[logs]\n") ==
          lines{"1: x: unknown key", "2: image.device: missing: expected a path",
                "5: image.devise: unknown key; did you mean device?",
                "8: network.Local-discovery: unknown key; did you mean local_discovery?",
                "9: profile.sata: unknown key", "12: profile.hdd.readahead: unknown key; did you mean read_ahead?",
                "14: memory.entirely_else: unknown key", "15: logs: unknown key; did you mean log?"});
}

TEST_CASE("load: no key is proposed for one that shares little with it") {
    CHECK(bad("memory.foo = 1") == lines{"1: memory.foo: unknown key"});
}

TEST_CASE("load: wrong types are named") {
    CHECK(bad("image = 1") == lines{"1: image: expected [[image]], found an integer"});
    CHECK(bad("[image]\nname = 'a'") == lines{"1: image: expected [[image]], found a table"});
    CHECK(bad("image = [\n1]") == lines{"2: image: expected a table, found an integer"});
    CHECK(bad("[[network]]\n") == lines{"1: network: expected a table, found an array"});
    CHECK(bad("profile.hdd = 'fast'") == lines{"1: profile.hdd: expected a table, found a string"});
    CHECK(bad("[network]\nlocal_discovery = 'yes'\n[memory]\npool = 1e9\nmax_torrent = true\n[log]\nlevel = 3\n"
              "[profile.nvme]\nthreads = '2'\ncoalesce = []\ndelay = 0.5\nread_ahead = 1979-05-27\n") ==
          lines{"2: network.local_discovery: expected true or false, found a string",
                "4: memory.pool: expected a size, in bytes or like \"16 MiB\", found a floating-point number",
                "5: memory.max_torrent: expected a size, in bytes or like \"16 MiB\", found a boolean",
                "7: log.level: expected a string, found an integer",
                "9: profile.nvme.threads: expected an integer, found a string",
                "10: profile.nvme.coalesce: expected a size, in bytes or like \"16 MiB\", found an array",
                "11: profile.nvme.delay: expected a duration, in milliseconds or like \"100 ms\", found a "
                "floating-point number",
                "12: profile.nvme.read_ahead: expected a size, in bytes or like \"16 MiB\", found a date or time"});
    CHECK(bad("[memory]\ncache = true\ncache_shards = '32'\nhuge_pages = 'yes'\n[hashing]\nthreads = 1.0\nahead = 1\n"
              "[profile.hdd]\nqueue_depth = '4'\ndirect_io = 1\nio_engine = true\n[profile.nvme]\ndirect_io = "
              "'true'\n") == lines{"2: memory.cache: expected a size, in bytes or like \"16 MiB\", found a boolean",
                                   "3: memory.cache_shards: expected an integer, found a string",
                                   "4: memory.huge_pages: expected true or false, found a string",
                                   "6: hashing.threads: expected an integer, found a floating-point number",
                                   "7: hashing.ahead: expected true or false, found an integer",
                                   "9: profile.hdd.queue_depth: expected an integer, found a string",
                                   "10: profile.hdd.direct_io: expected true, false or \"auto\", found an integer",
                                   "11: profile.hdd.io_engine: expected a string, found a boolean",
                                   "13: profile.nvme.direct_io: expected true, false or \"auto\", found a string"});
    CHECK(bad("[network]\nupload_limit = 2147483648\nconnections = 0\nupload_slots = -1\nslow_start = 'no'\n[resume]\n"
              "interval = '3601 s'\nfolder = ''\n") ==
          lines{"2: network.upload_limit: 2 GiB is out of range: 0 B to 2147483647 B",
                "3: network.connections: 0 is out of range: 1 to 65535",
                "4: network.upload_slots: -1 is out of range: 0 to 65535",
                "5: network.slow_start: expected true or false, found a string",
                "7: resume.interval: 3601 s is out of range: 0 ms to 3600 s",
                "8: resume.folder: '' is not the path of a file"});
    CHECK(bad("network.upload_slots = 1") ==
          lines{"1: network.upload_slots: 1 is too few: expected 0 (no limit) or 2 to 65535"});
    CHECK(bad("network.shards = 17") == lines{"1: network.shards: 17 is out of range: 1 to 16"});
    CHECK(bad("[network]\nlisten = '127.0.0.1:65535'\nshards = 2\n") ==
          lines{"3: network.shards: there are no 2 consecutive ports from 65535 on"});
    for (auto const* const listen : {"['192.0.2.1:7000', '192.0.2.1:7002']", "['0.0.0.0:7002', '192.0.2.1:7000']"}) {
        CHECK(bad(std::string("[network]\nshards = 3\nlisten = ") + listen) ==
              lines{"2: network.shards: addresses of listen are too close to each other for 3 consecutive ports each"});
        CHECK(parse_settings(std::string("[network]\nshards = 2\nlisten = ") + listen, "x"));
    }
    CHECK(bad("[network]\nshards = 3\nconnections = 2\n") ==
          lines{"2: network.shards: more than there may be connections, 2"});
    CHECK(bad("hashing = 2") == lines{"1: hashing: expected a table, found an integer"});
    CHECK(bad("[[image]]\nname = 1\ntorrent = 2\ndevice = {}\nmode = true\nprofile = 4\npeers = '192.0.2.1:1'\n"
              "trackers = [\n'http://h', 5,\n6]\nserial = 7\nsize = 1.5\nallow_mounted = 0\nverify = 'no'\n") ==
          lines{"2: image.name: expected a string, found an integer",
                "3: image.torrent: expected a string, found an integer",
                "4: image.device: expected a string, found a table",
                "5: image.mode: expected a string, found a boolean",
                "6: image.profile: expected a string, found an integer",
                "7: image.peers: expected a list of strings, found a string",
                "9: image.trackers: expected a string, found an integer",
                "10: image.trackers: expected a string, found an integer",
                "11: image.serial: expected a string, found an integer",
                "12: image.size: expected a size, in bytes or like \"16 MiB\", found a floating-point number",
                "13: image.allow_mounted: expected true or false, found an integer",
                "14: image.verify: expected true or false, found a string"});
}

TEST_CASE("load: the keys that an image needs") {
    CHECK(bad("\n[[image]]\n") == lines{"2: image.name: missing: expected a name that no other image has",
                                        "2: image.torrent: missing: expected a path",
                                        "2: image.device: missing: expected a path",
                                        "2: image.mode: missing: expected \"seed\" or \"deploy\""});
}

TEST_CASE("load: what is out of range is told the range") {
    CHECK(bad("[memory]\npool = 16777215\nmax_torrent = '2 GiB'\n[profile.hdd]\nthreads = 0\ncoalesce = '65 MiB'\n"
              "delay = 10001\nread_ahead = '8 KiB'\n[profile.nvme]\nthreads = 257\ncoalesce = 16383\n"
              "delay = -1\nread_ahead = '17 MiB'\n[profile.sata_ssd]\ndelay = '11 s'") ==
          lines{"2: memory.pool: 16777215 B is out of range: 16 MiB to 1 TiB",
                "3: memory.max_torrent: 2 GiB is out of range: 1 MiB to 2147483647 B",
                "5: profile.hdd.threads: 0 is out of range: 1 to 256",
                "6: profile.hdd.coalesce: 65 MiB is out of range: 16 KiB to 64 MiB",
                "7: profile.hdd.delay: 10001 ms is out of range: 0 ms to 10 s",
                "8: profile.hdd.read_ahead: 8 KiB is out of range: 16 KiB to 16 MiB",
                "10: profile.nvme.threads: 257 is out of range: 1 to 256",
                "11: profile.nvme.coalesce: 16383 B is out of range: 16 KiB to 64 MiB",
                "12: profile.nvme.delay: -1 ms is out of range: 0 ms to 10 s",
                "13: profile.nvme.read_ahead: 17 MiB is out of range: 16 KiB to 16 MiB",
                "15: profile.sata_ssd.delay: 11 s is out of range: 0 ms to 10 s"});
    CHECK(bad("[memory]\ncache = -1\n[hashing]\nthreads = 0\n[profile.hdd]\nqueue_depth = 0\n[profile.sata_ssd]\n"
              "queue_depth = 1025\n[profile.nvme]\nqueue_depth = -1\n") ==
          lines{"2: memory.cache: -1 B is out of range: 0 B to 1 TiB",
                "4: hashing.threads: 0 is out of range: 1 to 1024",
                "6: profile.hdd.queue_depth: 0 is out of range: 1 to 1024",
                "8: profile.sata_ssd.queue_depth: 1025 is out of range: 1 to 1024",
                "10: profile.nvme.queue_depth: -1 is out of range: 1 to 1024"});
    CHECK(bad("hashing.threads = 1025") == lines{"1: hashing.threads: 1025 is out of range: 1 to 1024"});
    CHECK(bad("memory.cache = '1025 GiB'") == lines{"1: memory.cache: 1100585369600 B is out of range: 0 B to 1 TiB"});
    CHECK(bad("memory.pool = 1099511627777") ==
          lines{"1: memory.pool: 1099511627777 B is out of range: 16 MiB to 1 TiB"});
    CHECK(bad("memory.max_torrent = 1048575") ==
          lines{"1: memory.max_torrent: 1048575 B is out of range: 1 MiB to 2147483647 B"});
    CHECK(bad(image("a", "size = 0")) == lines{"6: image.size: 0 B is out of range: 1 B to 9223372036854775807 B"});
    CHECK(bad(image("a", "size = -1"))[0].starts_with("6: image.size: -1 B is out of range: "));
}

TEST_CASE("load: sizes and durations that cannot be read") {
    CHECK(bad("memory.pool = '256 MB'") ==
          lines{"1: memory.pool: '256 MB' is not a size: expected bytes or a number with KiB, MiB, GiB or TiB"});
    CHECK(bad("memory.pool = '" + std::string(65, '0') + "'") ==
          lines{"1: memory.pool: '" + std::string(65, '0') + "' is not a size"});
    for (std::string const text : {"", "1", "ms", "1  s", "-1 s", "1.5 s", "1 m", "1 S", "1 s ", " 1 s",
                                   "9223372036854775807 s", "99999999999999999999 ms"}) {
        CHECK(bad("profile.hdd.delay = '" + text + "'") ==
              lines{"1: profile.hdd.delay: '" + text +
                    "' is not a duration: expected milliseconds, \"100 ms\" or \"1 s\""});
    }
}

TEST_CASE("load: words that a key does not know") {
    CHECK(bad("log.level = 'Info'") ==
          lines{"1: log.level: 'Info' is not known: expected error, warning, info, debug or trace"});
    for (std::string const word : {"", "uring", "Threads", "true"}) {
        CHECK(bad("\n[profile.nvme]\nio_engine = '" + word + "'") ==
              lines{"3: profile.nvme.io_engine: '" + word + "' is not known: expected auto, threads or io_uring"});
    }
    CHECK(bad(image("a", "profile = 'ssd'")) ==
          lines{"6: image.profile: 'ssd' is not a profile: expected \"hdd\", \"sata_ssd\" or \"nvme\""});
    CHECK(bad(image("a", "", "Seed")) == lines{"5: image.mode: 'Seed' is not a mode: expected \"seed\" or \"deploy\""});
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

TEST_CASE("load: flags that have no meaning in the image's mode") {
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
              start + "'" + url + "' is not a tracker: expected an URL with http://, https:// or udp://");
    }
    for (std::string const url :
         {"http://", "http:///a", "http://:80", "http://ho!st", "http://[::1", "http://[1.2.3.4]", "http://u@/"}) {
        CHECK(tracker(url) == start + "'" + url + "' names no host");
    }
    for (std::string const url :
         {"http://h:", "http://h:0/", "http://h:65536", "udp://h", "udp://h/1:2", "http://[::1]:x"}) {
        CHECK(tracker(url) == start + "'" + url + "' has no port, 1 to 65535, after its host");
    }
    CHECK(tracker("http://h/a b") == start + "'http://h/a b' holds a character that no URL may hold");
    CHECK(tracker("http://h/\\u007f") == start + "'http://h/\\u007F' holds a character that no URL may hold");
    CHECK(good(image("a", "trackers = ['http://h:80?x', 'https://h#x']")).images[0].trackers.size() == 2);
    CHECK(tracker("http://h/\\n") == start + "'http://h/\\u000A' holds a character that no URL may hold");
}

TEST_CASE("load: paths are taken from the file's folder and made normal") {
    auto const loaded =
        good("[[image]]\nname='a'\ntorrent='t/../a.torrent'\ndevice='//dev/./disk/../sda'\nmode='seed'");
    CHECK(loaded.images[0].torrent == "/etc/seedbed/a.torrent");
    CHECK(loaded.images[0].device == "/dev/sda");
    auto const here = accepted(parse_settings("[[image]]\nname='a'\ntorrent='t'\ndevice='d'\nmode='seed'", "x.toml"));
    CHECK(here.images[0].torrent == (std::filesystem::current_path() / "t").string());
}

TEST_CASE("load: paths that name no file") {
    for (std::string const path : {"", "/", "/dev/", "a/..", "."}) {
        CHECK(bad("[[image]]\nname='a'\ntorrent='" + path + "'\ndevice='/d'\nmode='seed'") ==
              lines{"3: image.torrent: '" + path + "' is not the path of a file"});
    }
    for (std::string const path : {"/a\\u0000b", "/a\\nb"}) {
        CHECK(bad("[[image]]\nname='a'\ntorrent='/t'\ndevice=\"" + path + "\"\nmode='seed'") ==
              lines{"4: image.device: a path may hold neither NUL nor newline"});
    }
}

TEST_CASE("load: an error stays one line, whatever the file holds") {
    CHECK(bad("\"a\\nb\\u007f\" = 1") == lines{"1: a\\u000Ab\\u007F: unknown key"});
    auto const errors = bad("log.level = '" + std::string(199, 'x') + "\xc3\xa9" + std::string(1'000, 'x') + "'");
    CHECK(errors[0].starts_with("1: log.level: '" + std::string(199, 'x') + "...' is not known"));
}

TEST_CASE("load: two images share no name, torrent or device") {
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
    CHECK(bad(image("a") + image("a", "x = 1")).size() == 4); // beside another error
    CHECK(bad("[[image]]\n[[image]]\n").size() == 8);         // what is missing twice is no duplicate
}

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
    CHECK(refused(two("xy", "aa")).size() == 1); // the same path is told once, not as the same file as well
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

TEST_CASE("load: the main file comes first, then images.d in the order of its names") {
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

TEST_CASE("load: files of images.d hold images only") {
    test::temp_dir const folder;
    std::filesystem::create_directory(folder / "images.d");
    write(folder / "seedbed.toml", "");
    write(folder / "images.d/a.toml", image("a") + "[log]\nlevel = 'nonsense'\n");
    write(folder / "images.d/b.toml", "imag = 1\n");
    CHECK(refused(load_settings(folder / "seedbed.toml")) ==
          lines{(folder / "images.d/a.toml").string() + ":6: log: only [[image]] may stand in this folder's files",
                (folder / "images.d/b.toml").string() + ":1: imag: only [[image]] may stand in this folder's files"});
}

TEST_CASE("load: the errors of all files come at once, in the order of files and lines") {
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

TEST_CASE("load: a missing file is an error only where it is required") {
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

TEST_CASE("load: what cannot be a configuration file is refused and hangs nothing") {
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
    SECTION("a file that may not be read") {
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

namespace {

std::string const installed = SEEDBED_SOURCE_DIR "/config/seedbed.toml";

/// The text with each "#key = value" and "#[[table]]" made active. What explains has a space behind its "#".
std::string uncommented(std::string const& text) {
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);) {
        bool const sample = line.size() > 1 && line[0] == '#' && line[1] != ' ';
        out += (sample ? line.substr(1) : line) + "\n";
    }
    return out;
}

} // namespace

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
    CHECK(std::exchange(loaded.resume.folder, "") == "/var/lib/seedbed"); // where no service manager names another
    CHECK(loaded.images[0].fleet.on_complete_timeout == fleet_settings{}.on_complete_timeout);
    loaded.images.clear();
    CHECK(std::exchange(loaded.tracker.listen, std::nullopt) == tracker_settings::default_listen());
    // What has no fixed default: a cache of the whole pool is what a cache without a limit comes to.
    CHECK(std::exchange(loaded.memory.cache, std::nullopt) == settings{}.memory.pool);
    CHECK(std::exchange(loaded.hashing.threads, std::nullopt).has_value());
    CHECK(std::exchange(loaded.metrics.listen, {}).size() == 1);
    check_equal(loaded, settings{});
}

TEST_CASE("load: the installed file shows every key") {
    auto const text = content(installed);
    auto const check_section = [&](std::string const& name, std::vector<std::string> const& keys) {
        auto const begin = text.find("\n[" + name + "]\n");
        REQUIRE(begin != std::string::npos);
        auto const end = text.find("\n[", begin + 1);
        auto const section = text.substr(begin, end - begin);
        for (auto const& key : keys) {
            INFO(name << "." << key);
            CHECK(section.find("\n#" + key + " = ") != std::string::npos);
        }
    };
    check_section("network", {"listen", "local_discovery", "upload_limit", "download_limit", "connections",
                              "upload_slots", "slow_start", "read_once", "shards"});
    check_section("tracker", {"enabled", "listen", "interval", "min_interval", "peers_per_image", "peers", "numwant",
                              "max_request"});
    check_section("memory", {"pool", "cache", "cache_shards", "huge_pages", "max_torrent"});
    check_section("hashing", {"threads", "ahead"});
    check_section("resume", {"interval", "folder"});
    check_section("control", {"socket"});
    check_section("metrics", {"listen"});
    check_section("log", {"level"});
    for (std::string const cls : {"hdd", "sata_ssd", "nvme"}) {
        check_section("profile." + cls,
                      {"threads", "queue_depth", "coalesce", "delay", "read_ahead", "direct_io", "io_engine"});
    }
    for (std::string const key :
         {"name", "torrent", "device", "mode", "profile", "peers", "trackers", "serial", "size", "allow_mounted",
          "verify", "upload_limit", "super_seeding", "check", "expect", "on_complete", "on_complete_timeout"}) {
        INFO(key);
        CHECK(text.find("\n#" + key + " = ", text.find("\n#[[image]]")) != std::string::npos);
    }
}
