#include "daemon/service/deployment.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/foundation/save_file.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/service/seed_until.hpp"
#include "support/endpoints.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("each kind of failure has its exit status") {
    CHECK(exit_code_of(failure_kind::torrent) == exit_bad_torrent);
    CHECK(exit_code_of(failure_kind::guard) == exit_refused);
    CHECK(exit_code_of(failure_kind::read) == exit_device_failed);
    CHECK(exit_code_of(failure_kind::write) == exit_device_failed);
    CHECK(exit_code_of(failure_kind::flush) == exit_device_failed);
    CHECK(exit_code_of(failure_kind::verify) == exit_not_verified);
    CHECK(exit_code_of(failure_kind::damage) == exit_damaged_source);
    for (auto const kind :
         {failure_kind::none, failure_kind::internal, failure_kind::download, failure_kind::content}) {
        CHECK(exit_code_of(kind) == exit_failed); // never a success
    }
}

TEST_CASE("seeding ends at the first limit that is reached") {
    seed_until::clock::time_point const began{};
    SECTION("no limit: at once") {
        CHECK(seed_until({}, began, 0).reached(began, 0, 100));
    }
    SECTION("a time") {
        seed_until end({.time = 90s, .idle = {}, .ratio = {}}, began, 0);
        CHECK_FALSE(end.reached(began + 89s, 1000, 100));
        CHECK(end.reached(began + 90s, 1000, 100));
    }
    SECTION("a time without uploads") {
        seed_until end({.time = {}, .idle = 15s, .ratio = {}}, began, 50);
        CHECK_FALSE(end.reached(began + 10s, 50, 100));
        CHECK_FALSE(end.reached(began + 14s, 60, 100));
        CHECK_FALSE(end.reached(began + 28s, 60, 100));
        CHECK(end.reached(began + 29s, 60, 100));
    }
    SECTION("a ratio that counts earlier uploads, too") {
        seed_until end({.time = {}, .idle = {}, .ratio = 1.5}, began, 140);
        CHECK_FALSE(end.reached(began, 149, 100));
        CHECK(end.reached(began, 150, 100));
    }
    SECTION("a ratio or a time") {
        seed_until end({.time = 5s, .idle = {}, .ratio = 3.0}, began, 0);
        CHECK_FALSE(end.reached(began + 4s, 299, 100));
        CHECK(end.reached(began + 5s, 0, 100));
        CHECK(seed_until({.time = 5s, .idle = {}, .ratio = 3.0}, began, 0).reached(began, 300, 100));
    }
}

TEST_CASE("a deployment without peers warns once and names the remedies") {
    test::temp_dir const folder;
    auto const extents = extent_map::make({{0, 16384}});
    sha1_digest digest;
    digest.fill('x');
    auto const torrent = make_torrent(*extents, {digest}, {"sda1", 16384, {}, ""});
    REQUIRE(torrent);
    REQUIRE(save_file((folder / "sda1.torrent").string(), torrent->bytes, false));
    REQUIRE(save_file((folder / "target").string(), std::string(16384, '.'), false));
    deployment_options options;
    options.image.name = "sda1";
    options.image.mode = image_mode::deploy;
    options.image.torrent = (folder / "sda1.torrent").string();
    options.image.device = (folder / "target").string();
    options.in_force.network.listen = {{test::addresses({"127.0.0.1"}).front(), 0}};
    options.in_force.network.local_discovery = false;
    options.in_force.memory.pool = 16 << 20;
    options.state_folder = folder.path().string();
    options.peer_patience = 200ms;
    options.timeout = 4s; // the warning comes first, also on a busy machine

    std::vector<std::string> warnings;
    std::vector<std::string> errors;
    start_logging(log_level::info, [&](log_level level, std::string_view line) {
        if (level == log_level::warning || level == log_level::error) {
            (level == log_level::warning ? warnings : errors).emplace_back(line);
        }
    });
    auto const report = deployment(std::move(options), [](image_status const&) {}).run();
    start_logging(log_level::info);
    CHECK(warnings ==
          std::vector<std::string>{"no peer for 0.2 s: is the server up, and does multicast reach it? If not, name it "
                                   "with --peer ADDRESS:PORT or a tracker with --tracker URL"});
    CHECK(report.code == exit_timed_out);
    CHECK(errors == std::vector<std::string>{"the download did not finish within 4 s: 16384 of 16384 bytes are "
                                             "missing, 0 peers are connected"});
}
