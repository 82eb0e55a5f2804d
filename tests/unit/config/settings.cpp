#include "config/settings.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("settings: modes and levels are written as in the configuration") {
    CHECK(std::string(to_string(image_mode::seed)) == "seed");
    CHECK(std::string(to_string(image_mode::deploy)) == "deploy");
    CHECK(std::string(to_string(log_level::error)) == "error");
    CHECK(std::string(to_string(log_level::warning)) == "warning");
    CHECK(std::string(to_string(log_level::info)) == "info");
    CHECK(std::string(to_string(log_level::debug)) == "debug");
    CHECK(std::string(to_string(log_level::trace)) == "trace");
}

TEST_CASE("settings: images are equal in everything but their origin") {
    image_settings const image;
    auto other = image;
    other.origin = "seedbed.toml:7";
    CHECK(image == other);

    auto const differs = [&image](auto change) {
        auto changed = image;
        change(changed);
        return !(changed == image);
    };
    CHECK(differs([](image_settings& i) { i.name = "x"; }));
    CHECK(differs([](image_settings& i) { i.torrent = "/x"; }));
    CHECK(differs([](image_settings& i) { i.device = "/x"; }));
    CHECK(differs([](image_settings& i) { i.mode = image_mode::deploy; }));
    CHECK(differs([](image_settings& i) { i.profile = storage_class::hdd; }));
    CHECK(differs([](image_settings& i) { i.peers = {"192.0.2.1:1"}; }));
    CHECK(differs([](image_settings& i) { i.trackers = {"http://x"}; }));
    CHECK(differs([](image_settings& i) { i.serial = "x"; }));
    CHECK(differs([](image_settings& i) { i.size = 1; }));
    CHECK(differs([](image_settings& i) { i.allow_mounted = true; }));
    CHECK(differs([](image_settings& i) { i.verify = false; }));
    CHECK(differs([](image_settings& i) { i.verify_source = source_check::none; }));
    CHECK(differs([](image_settings& i) { i.check = target_check::full; }));
    CHECK(differs([](image_settings& i) { i.upload_limit = 1; }));
    CHECK(differs([](image_settings& i) { i.super_seeding = true; }));
    CHECK(differs([](image_settings& i) { i.fleet.expect = 1; }));
    CHECK(differs([](image_settings& i) { i.fleet.expect_hosts = {"::1"}; }));
    CHECK(differs([](image_settings& i) { i.fleet.on_complete = {"/x"}; }));
    CHECK(differs([](image_settings& i) { i.fleet.on_complete_timeout *= 2; }));
}

TEST_CASE("settings: what can change in a running daemon") {
    settings const running;
    auto wanted = running;
    CHECK(unchangeable_differences(running, wanted).empty());

    wanted.memory.pool += 1;
    wanted.memory.cache = 0;
    wanted.memory.max_torrent += 1;
    wanted.hashing.threads = 1;
    wanted.network.listen = {"127.0.0.1:1"};
    wanted.network.local_discovery = false;
    wanted.network.upload_limit = 1;
    wanted.network.connections = 1;
    wanted.resume.interval = std::chrono::milliseconds(0);
    wanted.resume.folder = "/x";
    wanted.tracker.enabled = false;
    wanted.control.socket.clear();
    wanted.metrics.listen = {"127.0.0.1:2"};
    wanted.log.level = log_level::trace;
    for (auto& profile : wanted.profiles) {
        profile.threads += 1;
        profile.queue_depth += 1;
        profile.coalesce += 1;
        profile.delay += std::chrono::milliseconds(1);
        profile.read_ahead += 1;
        profile.elevator = !profile.elevator;
    }
    wanted.images.emplace_back();
    CHECK(unchangeable_differences(running, wanted).empty());
}

TEST_CASE("settings: what cannot change in a running daemon") {
    using keys = std::vector<std::string>;
    settings const running;
    auto all = running;
    auto const named = [&](auto change) {
        auto wanted = running;
        change(wanted);
        change(all);
        return unchangeable_differences(running, wanted);
    };
    CHECK(named([](settings& s) { s.network.shards = 2; }) == keys{"network.shards"});
    CHECK(named([](settings& s) { s.memory.cache_shards = 1; }) == keys{"memory.cache_shards"});
    CHECK(named([](settings& s) { s.memory.huge_pages = false; }) == keys{"memory.huge_pages"});
    CHECK(named([](settings& s) { s.hashing.ahead = false; }) == keys{"hashing.ahead"});
    keys expected{"network.shards", "memory.cache_shards", "memory.huge_pages", "hashing.ahead"};
    for (auto const cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        auto const i = static_cast<std::size_t>(cls);
        auto const prefix = "profile." + std::string(to_string(cls));
        CHECK(named([i](settings& s) { s.profiles[i].direct_io = direct_io_mode::off; }) ==
              keys{prefix + ".direct_io"});
        CHECK(named([i](settings& s) { s.profiles[i].io_engine = io_engine_kind::threads; }) ==
              keys{prefix + ".io_engine"});
        expected.insert(expected.end(), {prefix + ".direct_io", prefix + ".io_engine"});
    }
    CHECK(unchangeable_differences(running, all) == expected);
    CHECK(unchangeable_differences(all, all).empty());
}
