#include "config/load.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "support/config_text.hpp"

using namespace seedbed;
using namespace seedbed::test;

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

TEST_CASE("load: dots in strings and comments do not count as key parts") {
    std::string const dots = "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a";
    CHECK(good(image("a", "serial = '" + dots + "' # " + dots)).images[0].serial == dots);
    CHECK(good(image("a", "serial = \"\\\"" + dots + "\"")).images[0].serial == "\"" + dots);
    CHECK(good(image("a", "serial = \"\"\"\n\"" + dots + "\"\"\"")).images[0].serial == "\"" + dots);
}

TEST_CASE("load: an unknown key is reported with a similar known one") {
    CHECK(bad("x = 1\n[[image]]\nname='a'\ntorrent='/t'\ndevise='/d'\nmode='seed'\n[network]\nLocal-discovery=true\n"
              "[profile.sata]\nthreads = 1\n[profile.hdd]\nreadahead=1\n[memory]\nentirely_else=1\n[logs]\n") ==
          lines{"1: x: unknown key", "2: image.device: missing: expected a path",
                "5: image.devise: unknown key; did you mean device?",
                "8: network.Local-discovery: unknown key; did you mean local_discovery?",
                "9: profile.sata: unknown key", "12: profile.hdd.readahead: unknown key; did you mean read_ahead?",
                "14: memory.entirely_else: unknown key", "15: logs: unknown key; did you mean log?"});
}

TEST_CASE("load: no key is suggested for an unknown key unlike any other") {
    CHECK(bad("memory.foo = 1") == lines{"1: memory.foo: unknown key"});
}

TEST_CASE("load: a wrong type is reported with the expected one") {
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
                "7: resume.interval: 3601 s is out of range: 0 ms to 1 h",
                "8: resume.folder: '' is not the path of a file"});
    CHECK(bad("network.upload_slots = 1") ==
          lines{"1: network.upload_slots: 1 is out of range: 0 (no limit) or 2 to 65535"});
    CHECK(bad("network.shards = 17") == lines{"1: network.shards: 17 is out of range: 1 to 16"});
    CHECK(bad("[network]\nlisten = '127.0.0.1:65535'\nshards = 2\n") ==
          lines{"3: network.shards: no 2 consecutive ports from 65535 on"});
    for (auto const* const listen : {"['192.0.2.1:7000', '192.0.2.1:7002']", "['0.0.0.0:7002', '192.0.2.1:7000']"}) {
        CHECK(bad(std::string("[network]\nshards = 3\nlisten = ") + listen) ==
              lines{"2: network.shards: the ports of listen are too close for 3 consecutive ports each"});
        CHECK(parse_settings(std::string("[network]\nshards = 2\nlisten = ") + listen, "x"));
    }
    CHECK(bad("[network]\nshards = 3\nconnections = 2\n") ==
          lines{"2: network.shards: more shards than connections, 2"});
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

TEST_CASE("load: a value out of range is reported with the range") {
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

TEST_CASE("load: an unknown word is reported with the known words") {
    CHECK(bad("log.level = 'Info'") ==
          lines{"1: log.level: 'Info' is not known: expected error, warning, info, debug or trace"});
    for (std::string const word : {"", "uring", "Threads", "true"}) {
        CHECK(bad("\n[profile.nvme]\nio_engine = '" + word + "'") ==
              lines{"3: profile.nvme.io_engine: '" + word + "' is not known: expected auto, threads or io_uring"});
    }
    CHECK(bad(image("a", "profile = 'ssd'")) ==
          lines{"6: image.profile: 'ssd' is not known: expected hdd, sata_ssd or nvme"});
    CHECK(bad(image("a", "", "Seed")) == lines{"5: image.mode: 'Seed' is not known: expected seed or deploy"});
}

TEST_CASE("load: an error is one line, whatever the file contains") {
    CHECK(bad("\"a\\nb\\u007f\" = 1") == lines{"1: a\\u000Ab\\u007F: unknown key"});
    auto const errors = bad("log.level = '" + std::string(199, 'x') + "\xc3\xa9" + std::string(1'000, 'x') + "'");
    CHECK(errors[0].starts_with("1: log.level: '" + std::string(199, 'x') + "...' is not known"));
}
