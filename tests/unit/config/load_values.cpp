#include "config/load.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include <catch2/catch.hpp>
#include <toml++/toml.h>

#include "config/error_report.hpp"
#include "config/key_kinds.hpp"
#include "config/table_reader.hpp"
#include "config/value_formats.hpp"
#include "core/foundation/free_memory.hpp"
#include "support/config_text.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using namespace seedbed::test;

TEST_CASE("load: an empty text gives the defaults") {
    check_equal(good(""), settings{});
    check_equal(good("[network]\n[memory]\n[hashing]\n[log]\n[profile.hdd]\n"), settings{});
}

TEST_CASE("load: every key of the other tables is read") {
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
interval = "1 h"
min_interval = "2 s"
peers_per_image = 1
peers = 1000000
peers_per_address = 7
numwant = 2000
max_request = 65536
[memory]
pool = "1 TiB"
cache = "3 MiB"
packed = "5 MiB"
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
[web]
listen = "[::]:9151"
[history]
limit = 7
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
    CHECK(loaded.network.listen == test::endpoints({"127.0.0.1:1", "[::1]:65520"}));
    CHECK_FALSE(loaded.network.local_discovery);
    CHECK(loaded.network.upload_limit == 2147483647);
    CHECK(loaded.network.download_limit == 1 << 20);
    CHECK(loaded.network.connections == 65535);
    CHECK(loaded.network.upload_slots == 3);
    CHECK(loaded.network.slow_start);
    CHECK_FALSE(loaded.network.read_once);
    CHECK(loaded.network.shards == 16);
    CHECK(loaded.history.limit == 7);
    CHECK(loaded.resume.interval == std::chrono::seconds(5));
    CHECK(loaded.resume.folder == "/etc/seedbed/state");
    tracker_settings tracker;
    tracker.enabled = false;
    tracker.listen = test::endpoints({"127.0.0.1:2"});
    tracker.interval = std::chrono::hours(1);
    tracker.min_interval = std::chrono::seconds(2);
    tracker.peers_per_image = 1;
    tracker.peers = 1'000'000;
    tracker.peers_per_address = 7;
    tracker.numwant = 2000;
    tracker.max_request = 65536;
    CHECK(loaded.tracker == tracker);
    CHECK(loaded.control.socket == "/etc/seedbed/s.sock");
    CHECK(loaded.metrics.listen == test::endpoints({"127.0.0.1:9150", "[::1]:9150"}));
    CHECK(loaded.web.listen == test::endpoints({"[::]:9151"}));
    CHECK(loaded.memory.pool == 1LL << 40);
    CHECK(loaded.memory.cache == 3 << 20);
    CHECK(loaded.memory.packed == 5 << 20);
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
          1 << 30); // a limit above the pool is not an error
}

TEST_CASE("load: the pool as a share of the memory, within the limits of a size") {
    auto const memory = total_memory().value();
    CHECK(good("memory.pool = '25 %'").memory.pool == share_of(memory, 25));
    CHECK(good("memory.pool = '50%'").memory.pool == share_of(memory, 50));
    CHECK(good("memory.pool = '1 %'").memory.pool == std::max<std::int64_t>(share_of(memory, 1), 16 << 20));
    CHECK(bad("memory.pool = '0 %'") == lines{"1: memory.pool: '0 %' is out of range: 1 % to 90 %"});
    CHECK(bad("memory.pool = 'half %'") ==
          lines{"1: memory.pool: 'half %' is not a share: expected a whole number with %, such as \"25 %\""});
    CHECK(bad("memory.cache = '25 %'") ==
          lines{"1: memory.cache: '25 %' is not a size: expected bytes or a number with KiB, MiB, GiB or TiB"});
}

TEST_CASE("load: the memory for packed pieces as a size or a share, half of the free memory by default") {
    CHECK(good("").memory.packed == std::nullopt);
    CHECK(good("memory.packed = 0").memory.packed == 0);
    CHECK(good("memory.packed = '2 GiB'").memory.packed == 2LL << 30);
    CHECK(good("memory.packed = '50 %'").memory.packed == share_of(total_memory().value(), 50));
    CHECK(bad("memory.packed = '91 %'") == lines{"1: memory.packed: '91 %' is out of range: 1 % to 90 %"});
}

TEST_CASE("load: a share is cut to the limits of its key") {
    auto const read = [](value_range<std::int64_t> range) {
        toml::table table;
        table.insert("pool", "50 %");
        error_report report;
        table_reader reader(table, "memory", {}, report);
        return kind::size_or_share{{range}}.read(reader, "pool", {});
    };
    auto const half = share_of(total_memory().value(), 50);
    CHECK(read({half + 1, half + 2}) == half + 1);
    CHECK(read({0, half - 1}) == half - 1);
    CHECK(read({0, half}) == half);
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

TEST_CASE("load: direct I/O and I/O engine of each profile") {
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

TEST_CASE("load: the elevator of a profile is not a key") {
    CHECK(bad("profile.hdd.elevator = false") == lines{"1: profile.hdd.elevator: unknown key"});
}

TEST_CASE("load: the tracker's intervals must be consistent") {
    CHECK(good("tracker.interval = '5 s'").tracker.min_interval == std::chrono::seconds(5));
    CHECK(bad("[tracker]\ninterval = '5 s'\nmin_interval = '6 s'") ==
          lines{"3: tracker.min_interval: 6 s is longer than the interval, 5 s"});
    CHECK(bad("[tracker]\nlisten = ['localhost:1']").size() == 1);
    CHECK(bad("[tracker]\nnumwant = 0") == lines{"2: tracker.numwant: 0 is out of range: 1 to 2000"});
}

TEST_CASE("load: the control socket") {
    CHECK(good("control.socket = ''").control.socket.empty());
    CHECK(good("control.socket = '/" + std::string(95, 's') + "'").control.socket.size() == 96);
    CHECK(
        bad("control.socket = '/" + std::string(96, 's') + "'") ==
        lines{"1: control.socket: '/" + std::string(96, 's') + "' is too long: a socket's path has at most 96 bytes"});
    CHECK(bad("control.socket = '/run/'") == lines{"1: control.socket: '/run/' is not the path of a file"});
    CHECK(bad("control.socket = \"/a\\nb\"") == lines{"1: control.socket: a path can contain neither NUL nor newline"});
    CHECK(bad("control.socket = false") == lines{"1: control.socket: expected a string, found a boolean"});
    CHECK(bad("control.sock = ''") == lines{"1: control.sock: unknown key; did you mean socket?"});
}

TEST_CASE("load: where to serve metrics") {
    CHECK(good("metrics.listen = '127.0.0.1:9150'").metrics.listen == test::endpoints({"127.0.0.1:9150"}));
    CHECK(good("").metrics.listen.empty());
    CHECK(bad("metrics.listen = []") == lines{"1: metrics.listen: empty: expected at least one ADDRESS:PORT"});
    CHECK(bad("metrics.listen = ['localhost:1', '[::1]:9150', '[0::1]:9150']").size() == 2);
}

TEST_CASE("load: every log level is accepted") {
    for (auto const level :
         {log_level::error, log_level::warning, log_level::info, log_level::debug, log_level::trace}) {
        CHECK(good(std::string("log.level = '") + to_string(level) + "'").log.level == level);
    }
}

TEST_CASE("load: listen is one text or a list") {
    CHECK(good("network.listen = '192.0.2.1:80'").network.listen == test::endpoints({"192.0.2.1:80"}));
    CHECK(good("network.listen = ['192.0.2.1:80', '192.0.2.1:81']").network.listen ==
          test::endpoints({"192.0.2.1:80", "192.0.2.1:81"}));
    CHECK(good("network.allow = ['10.1.0.0/16', '2001:db8::1']").network.allow.size() == 2);
    CHECK(bad("[network]\nallow = []") == lines{"2: network.allow: empty: expected at least one network"});
    CHECK(bad("[network]\nallow = ['10.1.2.0/16']") ==
          lines{"2: network.allow: '10.1.2.0/16' has bits after the prefix: expected 10.1.0.0/16"});
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

TEST_CASE("load: invalid sizes and durations") {
    CHECK(bad("memory.pool = '256 MB'") ==
          lines{"1: memory.pool: '256 MB' is not a size: expected bytes or a number with KiB, MiB, GiB or TiB"});
    CHECK(bad("memory.pool = '" + std::string(65, '0') + "'") ==
          lines{"1: memory.pool: '" + std::string(65, '0') + "' is not a size"});
    for (std::string const text :
         {"", "1", "ms", "1  s", "-1 s", "1.5 s", "1 m", "1 S", "1 s ", " 1 s", "1 d", "1h 30min"}) {
        CHECK(bad("profile.hdd.delay = '" + text + "'") ==
              lines{"1: profile.hdd.delay: '" + text +
                    "' is not a duration: expected a whole number with ms, s, min or h, such as \"90 s\""});
    }
    for (std::string const text : {"8785h", "9223372036854775807 s", "99999999999999999999 ms"}) {
        CHECK(bad("profile.hdd.delay = '" + text + "'") ==
              lines{"1: profile.hdd.delay: '" + text + "' is longer than a year"});
    }
}
