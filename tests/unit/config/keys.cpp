// The key table: each row applies to the reader, to reloads and to the installed file.

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "config/key.hpp"
#include "config/load.hpp"
#include "support/config_text.hpp"
#include "support/key_samples.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// A configuration in which only this key differs from its default.
settings with_other_value(config_key<settings> const& key) {
    return good("[" + key.table + "]\n" + key.name + " = " + other_value(key) + "\n");
}

} // namespace

TEST_CASE("keys: no key has two rows, except one for each mode") {
    std::set<std::string> seen;
    for (auto const& key : daemon_keys()) {
        CAPTURE(key.path());
        CHECK(seen.insert(key.path()).second);
        CHECK_FALSE(key.only);
    }
    std::set<std::pair<std::string, image_mode>> in_mode;
    for (auto const& key : image_keys()) {
        CAPTURE(key.path());
        for (auto const mode : {image_mode::seed, image_mode::deploy}) {
            CHECK((key.only.value_or(mode) != mode || in_mode.emplace(key.name, mode).second));
        }
    }
}

TEST_CASE("keys: each is read into the setting that its row compares and copies") {
    settings const defaults;
    for (auto const& key : daemon_keys()) {
        CAPTURE(key.path());
        auto const changed = with_other_value(key);
        CHECK_FALSE(key.equal(defaults, changed));
        for (auto const& other : daemon_keys()) {
            CAPTURE(other.path());
            // The default of min_interval is never longer than interval.
            auto const follows = key.path() == "tracker.interval" && other.path() == "tracker.min_interval";
            CHECK((other.path() == key.path() || follows || other.equal(defaults, changed)));
        }
        auto copied = defaults;
        key.copy(changed, copied);
        CHECK(key.equal(copied, changed));
    }
}

TEST_CASE("keys: each key of an image is read into the setting that its row compares and copies") {
    for (auto const& key : image_keys()) {
        CAPTURE(key.path());
        auto const before = good(image_before(key)).images.at(0);
        auto const after = good(image_after(key)).images.at(0);
        CHECK_FALSE(key.equal(before, after));
        CHECK_FALSE(before == after);
        auto copied = before;
        key.copy(after, copied);
        CHECK(copied == after);
    }
}

TEST_CASE("keys: the ends of each range are valid, and values beyond are refused with the range") {
    int ranges = 0;
    for (auto const& key : daemon_keys()) {
        if (key.form.type != "number" && key.form.type != "power of two") {
            continue;
        }
        ++ranges;
        CAPTURE(key.path());
        auto const [min, max] = ends_of(key.form.range);
        auto const with = [&key](std::string const& value) {
            return "[" + key.table + "]\n" + key.name + " = " + value;
        };
        CHECK(parse_settings(with(max), "x"));
        CHECK(parse_settings(with(min), "x"));
        auto const beyond = std::to_string(std::stoll(max) + 1);
        auto const errors = bad(with(beyond));
        REQUIRE_FALSE(errors.empty());
        CHECK(errors[0].starts_with("2: " + key.path() + ": " + beyond + " is out of range: "));
    }
    CHECK(ranges > 10);
}

TEST_CASE("keys: the error for an unknown key suggests the likely key of the table") {
    for (auto const& key : daemon_keys()) {
        CAPTURE(key.path());
        if (key.name.size() > 4) {
            auto const wrong = "x" + key.name;
            CHECK(bad("[" + key.table + "]\n" + wrong + " = 1\n") ==
                  lines{"2: " + key.table + "." + wrong + ": unknown key; did you mean " + key.name + "?"});
        }
    }
}

namespace {

std::string const installed = SEEDBED_SOURCE_DIR "/config/seedbed.toml";

/// The lines of the installed file from \p heading on to the next table.
std::string section(std::string const& text, std::string const& heading, std::size_t from = 0) {
    auto const begin = text.find("\n" + heading + "\n", from);
    REQUIRE(begin != std::string::npos);
    auto end = begin + 1;
    do {
        end = text.find('\n', end + 1);
    } while (end != std::string::npos && text.compare(end + 1, 1, "[") != 0 && text.compare(end + 1, 2, "#[") != 0);
    return text.substr(begin, end - begin);
}

} // namespace

TEST_CASE("keys: the installed file shows each key with its default, and no other key") {
    auto const text = content(installed);
    // No other key: unknown keys are refused.
    auto const shown = accepted(parse_settings(uncommented(text), installed));
    for (auto const& key : daemon_keys()) {
        CAPTURE(key.path());
        CHECK(section(text, "[" + key.table + "]").find("\n#" + key.name + " = ") != std::string::npos);
        CHECK((!key.fixed_default || key.equal(shown, settings{})));
    }
    auto const seed = section(text, "#[[image]]");
    auto const deploy = section(text, "#[[image]]", text.find(seed) + seed.size() - 1);
    REQUIRE(shown.images.size() == 2);
    for (auto const& key : image_keys()) {
        CAPTURE(key.path());
        auto const is_deploy = key.only == image_mode::deploy;
        CHECK((is_deploy ? deploy : seed).find("\n#" + key.name + " = ") != std::string::npos);
        CHECK((!key.fixed_default || key.equal(shown.images[is_deploy ? 1 : 0], image_settings{})));
    }
}

TEST_CASE("keys: those that need a restart are named once each, and kept as they are") {
    settings const running;
    auto all = running;
    std::vector<std::string> expected;
    for (auto const& key : daemon_keys()) {
        CAPTURE(key.path());
        auto wanted = with_other_value(key);
        auto const restart = key.change == key_change::restart;
        CHECK(restart_differences(running, wanted) == (restart ? lines{key.path()} : lines{}));
        key.copy(wanted, all);
        if (restart) {
            expected.push_back(key.path());
        }
        keep_restart_keys(running, wanted);
        CHECK(key.equal(running, wanted) == restart);
    }
    CHECK(expected == lines{"network.secret_file", "network.shards", "memory.packed", "memory.cache_shards",
                            "memory.huge_pages", "hashing.ahead", "profile.hdd.direct_io", "profile.hdd.io_engine",
                            "profile.sata_ssd.direct_io", "profile.sata_ssd.io_engine", "profile.nvme.direct_io",
                            "profile.nvme.io_engine"});
    CHECK(restart_differences(running, all) == expected);
    keep_restart_keys(running, all);
    CHECK(restart_differences(running, all).empty());
}
