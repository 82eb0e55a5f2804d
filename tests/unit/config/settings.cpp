#include "config/settings.hpp"

#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

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
    CHECK(differs([](image_settings& i) { i.peers = test::endpoints({"192.0.2.1:1"}); }));
    CHECK(differs([](image_settings& i) { i.trackers = {"http://x"}; }));
    CHECK(differs([](image_settings& i) { i.serial = "x"; }));
    CHECK(differs([](image_settings& i) { i.size = 1; }));
    CHECK(differs([](image_settings& i) { i.allow_mounted = true; }));
    CHECK(differs([](image_settings& i) { i.allow_mismatch = true; }));
    CHECK(differs([](image_settings& i) { i.wipe_signatures = false; }));
    CHECK(differs([](image_settings& i) { i.verify = false; }));
    CHECK(differs([](image_settings& i) { i.verify_source = source_check::none; }));
    CHECK(differs([](image_settings& i) { i.check = target_check::full; }));
    CHECK(differs([](image_settings& i) { i.upload_limit = 1; }));
    CHECK(differs([](image_settings& i) { i.super_seeding = true; }));
    CHECK(differs([](image_settings& i) { i.fleet.expect = 1; }));
    CHECK(differs([](image_settings& i) { i.fleet.expect_hosts = test::addresses({"::1"}); }));
    CHECK(differs([](image_settings& i) { i.fleet.on_complete = {"/x"}; }));
    CHECK(differs([](image_settings& i) { i.fleet.on_complete_timeout *= 2; }));
}
