#include "daemon/service/reload.hpp"

#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "config/key.hpp"
#include "support/config_text.hpp"
#include "support/key_samples.hpp"

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

/// What the plan changes in the running daemon.
strings tables_of(reload_plan const& plan) {
    strings found;
    for (auto const& [name, changes] :
         {std::pair{"network", plan.network}, std::pair{"resume", plan.resume}, std::pair{"tracker", plan.tracker},
          std::pair{"memory", plan.memory}, std::pair{"hashing", plan.hashing}, std::pair{"control", plan.control},
          std::pair{"profile", plan.profiles}, std::pair{"log", plan.log_level}, std::pair{"boot", plan.machines}}) {
        if (changes) {
            found.emplace_back(name);
        }
    }
    return found;
}

/// The name in tables_of() of a configuration table.
std::string part_of_daemon(std::string const& table) {
    return table == "metrics" || table == "web" || table == "history" ? "control" : table.substr(0, table.find('.'));
}

} // namespace

TEST_CASE("reload: nothing is done for the same configuration") {
    auto const same = with_images({image("sda1"), image("sda2")});
    CHECK(plan_reload(same, running(same.images), same).empty());

    auto moved = same;
    moved.images[0].origin = "b.toml:7";
    std::swap(moved.images[0], moved.images[1]);
    CHECK(plan_reload(same, running(same.images), moved).empty());
}

TEST_CASE("reload: images are added and removed, and unchanged images are left alone") {
    auto const before = with_images({image("sda1"), image("sda2")});
    auto const after = with_images({image("sda2"), image("sda3")});
    auto const plan = plan_reload(before, running(before.images), after);
    CHECK(plan.close == strings{"sda1"});
    CHECK(names(plan.open) == strings{"sda3"});
    CHECK(plan.update.empty());
    CHECK_FALSE(plan.empty());
}

TEST_CASE("reload: each key of an image reopens it or changes while it is open, as its row says") {
    for (auto const& key : image_keys()) {
        CAPTURE(key.path(), key.only);
        auto const before = test::good(test::image_before(key) + test::image("untouched"));
        auto const after = test::good(test::image_after(key) + test::image("untouched"));
        auto const plan = plan_reload(before, running(before.images), after);
        if (key.change == key_change::live) {
            CHECK((plan.close.empty() && plan.open.empty()));
            REQUIRE(plan.update.size() == 1);
            CHECK(plan.update[0] == after.images[0]);
        } else {
            CHECK(key.change == key_change::reopen);
            CHECK(plan.close == strings{"a"});
            REQUIRE(plan.open.size() == 1);
            CHECK(plan.open[0] == after.images[0]);
            CHECK(plan.update.empty());
        }
        CHECK(tables_of(plan).empty());
        CHECK(plan.needs_restart.empty());
    }
}

TEST_CASE("reload: a failed image is opened again, and one whose torrent has another info-hash") {
    auto const same = with_images({image("sda1"), image("sda2"), image("sda3")});
    auto images = running(same.images);
    images[0].failed = true;
    images[2].torrent_changed = true;
    auto const plan = plan_reload(same, images, same);
    CHECK(plan.close == strings{"sda1", "sda3"});
    CHECK(names(plan.open) == strings{"sda1", "sda3"});
}

TEST_CASE("reload: each key of the daemon is applied, or named once as one that needs a restart, as its row says") {
    auto const before = test::good(test::image("untouched"));
    for (auto const& key : daemon_keys()) {
        CAPTURE(key.path());
        auto const changed = "[" + key.table + "]\n" + key.name + " = " + test::other_value(key) + "\n";
        auto const after = test::good(test::image("untouched") + changed);
        auto const restart = key.change == key_change::restart;
        // In both directions: a removed key has its default again.
        for (auto const& [from, to] : {std::pair{&before, &after}, std::pair{&after, &before}}) {
            auto const plan = plan_reload(*from, running(from->images), *to);
            CHECK(plan.needs_restart == (restart ? strings{key.path()} : strings{}));
            CHECK(tables_of(plan) == (restart ? strings{} : strings{part_of_daemon(key.table)}));
            CHECK((plan.close.empty() && plan.open.empty() && plan.update.empty()));
            CHECK_FALSE(plan.empty());
        }
    }
}

TEST_CASE("reload: all keys at once are each applied or named once") {
    settings const before;
    auto after = before;
    strings expected;
    for (auto const& key : daemon_keys()) {
        key.copy(test::good("[" + key.table + "]\n" + key.name + " = " + test::other_value(key) + "\n"), after);
        if (key.change == key_change::restart) {
            expected.push_back(key.path());
        }
    }
    auto const plan = plan_reload(before, {}, after);
    CHECK(plan.needs_restart == expected);
    CHECK(tables_of(plan) ==
          strings{"network", "resume", "tracker", "memory", "hashing", "control", "profile", "log", "boot"});
}
