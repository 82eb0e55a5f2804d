#include "daemon/service/reload.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

image_settings image(std::string const& name) {
    image_settings made;
    made.name = name;
    made.torrent = "/t/" + name + ".torrent";
    made.device = "/dev/" + name;
    made.mode = image_mode::deploy;
    made.origin = "a.toml:1";
    return made;
}

settings with_images(std::vector<image_settings> images) {
    settings made;
    made.images = std::move(images);
    return made;
}

std::vector<running_image> running(std::vector<image_settings> const& images) {
    std::vector<running_image> made;
    for (auto const& each : images) {
        made.push_back({each, false, false});
    }
    return made;
}

std::vector<std::string> names(std::vector<image_settings> const& images) {
    std::vector<std::string> made;
    for (auto const& each : images) {
        made.push_back(each.name);
    }
    return made;
}

using strings = std::vector<std::string>;

} // namespace

TEST_CASE("the same configuration is no reason to do anything") {
    auto const same = with_images({image("sda1"), image("sda2")});
    CHECK(plan_reload(same, running(same.images), same).empty());

    auto moved = same;
    moved.images[0].origin = "b.toml:7";
    std::swap(moved.images[0], moved.images[1]);
    CHECK(plan_reload(same, running(same.images), moved).empty());
}

TEST_CASE("images are added and removed and the others are not named") {
    auto const before = with_images({image("sda1"), image("sda2")});
    auto const after = with_images({image("sda2"), image("sda3")});
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.close == strings{"sda1"});
    CHECK(names(plan.open) == strings{"sda3"});
    CHECK(plan.update.empty());
    CHECK_FALSE(plan.empty());
}

TEST_CASE("what decides which bytes go where reopens an image") {
    auto const before = with_images({image("sda1"), image("sda2")});
    auto after = before;
    SECTION("device") {
        after.images[0].device = "/dev/other";
    }
    SECTION("torrent") {
        after.images[0].torrent = "/t/other.torrent";
    }
    SECTION("mode") {
        after.images[0].mode = image_mode::seed;
    }
    SECTION("serial") {
        after.images[0].serial = "S1";
    }
    SECTION("size") {
        after.images[0].size = 1;
    }
    SECTION("allow_mounted") {
        after.images[0].allow_mounted = true;
    }
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.close == strings{"sda1"});
    REQUIRE(names(plan.open) == strings{"sda1"});
    CHECK(plan.open[0] == after.images[0]);
    CHECK(plan.update.empty());
}

TEST_CASE("peers, trackers, limits and the like change while the image is in use") {
    auto const before = with_images({image("sda1"), image("sda2")});
    auto after = before;
    SECTION("peers") {
        after.images[1].peers = {"10.0.0.1:6881"};
    }
    SECTION("trackers") {
        after.images[1].trackers = {"http://t/announce"};
    }
    SECTION("profile") {
        after.images[1].profile = storage_class::nvme;
    }
    SECTION("verify") {
        after.images[1].verify = false;
    }
    SECTION("check") {
        after.images[1].check = target_check::full;
    }
    SECTION("upload limit") {
        after.images[1].upload_limit = 1;
    }
    SECTION("super-seeding") {
        after.images[1].super_seeding = true;
    }
    SECTION("fleet") {
        after.images[1].fleet.expect = 1;
    }
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.close.empty());
    CHECK(plan.open.empty());
    REQUIRE(names(plan.update) == strings{"sda2"});
    CHECK(plan.update[0] == after.images[1]);
}

TEST_CASE("an image is opened again to be verified in another way") {
    auto const before = with_images({image("sda1")});
    auto after = before;
    after.images[0].verify_source = source_check::full;
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.close == strings{"sda1"});
    CHECK(names(plan.open) == strings{"sda1"});
}

TEST_CASE("an image that has failed is opened again, and one whose torrent describes something else") {
    auto const same = with_images({image("sda1"), image("sda2"), image("sda3")});
    auto images = running(same.images);
    images[0].failed = true;
    images[2].torrent_changed = true;
    auto const plan = plan_reload(same, images, same);
    CHECK(plan.close == strings{"sda1", "sda3"});
    CHECK(names(plan.open) == strings{"sda1", "sda3"});
}

TEST_CASE("settings of the daemon are told apart") {
    auto const before = with_images({});
    auto after = before;
    SECTION("network: listen") {
        after.network.listen = {"10.0.0.1:6881"};
        CHECK(plan_reload(before, {}, after).network);
    }
    SECTION("network: local discovery") {
        after.network.local_discovery = false;
        CHECK(plan_reload(before, {}, after).network);
    }
    SECTION("network: limits") {
        after.network.upload_limit = 1;
        CHECK(plan_reload(before, {}, after).network);
    }
    SECTION("checkpoints") {
        after.resume.interval = std::chrono::milliseconds(0);
        auto const plan = plan_reload(before, {}, after);
        CHECK(plan.resume);
        CHECK_FALSE(plan.network);
        CHECK_FALSE(plan.empty());
        CHECK(plan.needs_restart.empty());
    }
    SECTION("tracker") {
        after.tracker.numwant = 1;
        auto const plan = plan_reload(before, {}, after);
        CHECK(plan.tracker);
        CHECK_FALSE((plan.empty() || plan.network));
    }
    SECTION("control: socket") {
        after.control.socket.clear();
        auto const plan = plan_reload(before, {}, after);
        CHECK(plan.control);
        CHECK_FALSE((plan.empty() || plan.network));
    }
    SECTION("metrics: listen") {
        after.metrics.listen = {"127.0.0.1:9150"};
        CHECK(plan_reload(before, {}, after).control);
    }
    SECTION("a profile") {
        after.profiles[1].threads = 3;
        auto const plan = plan_reload(before, {}, after);
        CHECK(plan.profiles);
        CHECK_FALSE(plan.network);
    }
    SECTION("log level") {
        after.log.level = log_level::debug;
        auto const plan = plan_reload(before, {}, after);
        CHECK(plan.log_level);
        CHECK_FALSE(plan.profiles);
    }
}

TEST_CASE("sizes of the memory and the number of hash threads change while the daemon runs") {
    auto const before = with_images({image("sda1")});
    auto after = before;
    bool memory = true;
    SECTION("pool") {
        after.memory.pool += 1;
    }
    SECTION("cache: a limit") {
        after.memory.cache = 0;
    }
    SECTION("hash threads") {
        after.hashing.threads = 3;
        memory = false;
    }
    auto const check = [&](settings const& from, settings const& to) {
        auto const plan = plan_reload(from, running(from.images), to);
        CHECK(plan.memory == memory);
        CHECK(plan.hashing == !memory);
        CHECK_FALSE(plan.empty());
        CHECK(plan.needs_restart.empty());
        CHECK((plan.close.empty() && plan.open.empty() && plan.update.empty()));
        CHECK_FALSE((plan.network || plan.profiles || plan.log_level));
    };
    check(before, after);
    check(after, before); // for a cache and threads: no limit and as many as there are processors again
}

TEST_CASE("each number of a profile changes while the daemon runs") {
    auto const before = with_images({image("sda1")});
    auto after = before;
    SECTION("threads") {
        after.profiles[2].threads += 1;
    }
    SECTION("queue_depth") {
        after.profiles[2].queue_depth += 1;
    }
    SECTION("coalesce") {
        after.profiles[2].coalesce += 1;
    }
    SECTION("delay") {
        after.profiles[2].delay *= 2;
    }
    SECTION("read_ahead") {
        after.profiles[2].read_ahead += 1;
    }
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.profiles);
    CHECK(plan.needs_restart.empty());
    CHECK_FALSE((plan.memory || plan.hashing));
}

TEST_CASE("what is set up at the start needs a restart, and touches nothing that runs") {
    auto const before = with_images({image("sda1")});
    auto after = before;
    std::string key;
    SECTION("shards") {
        after.network.shards = 2;
        key = "network.shards";
    }
    SECTION("cache_shards") {
        after.memory.cache_shards = 64;
        key = "memory.cache_shards";
    }
    SECTION("huge_pages") {
        after.memory.huge_pages = false;
        key = "memory.huge_pages";
    }
    SECTION("ahead") {
        after.hashing.ahead = false;
        key = "hashing.ahead";
    }
    SECTION("direct_io") {
        after.profiles[0].direct_io = direct_io_mode::on;
        key = "profile.hdd.direct_io";
    }
    SECTION("io_engine") {
        after.profiles[2].io_engine = io_engine_kind::threads;
        key = "profile.nvme.io_engine";
    }
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.needs_restart == strings{key});
    CHECK((plan.close.empty() && plan.open.empty() && plan.update.empty()));
    CHECK_FALSE((plan.network || plan.memory || plan.hashing || plan.log_level));
    CHECK_FALSE(plan.empty());
}
