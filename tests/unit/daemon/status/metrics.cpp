#include "daemon/status/metrics.hpp"

#include <map>
#include <sstream>

#include <catch2/catch.hpp>

#include "support/sample_status.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// The value of a sample, by its name and labels as written.
std::map<std::string, std::string> samples(std::string const& text) {
    std::map<std::string, std::string> all;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with('#')) {
            auto const space = line.rfind(' ');
            REQUIRE(space != std::string::npos);
            auto const [at, is_new] = all.emplace(line.substr(0, space), line.substr(space + 1));
            INFO(line);
            CHECK(is_new);
        }
    }
    return all;
}

/// The types, by name.
std::map<std::string, std::string> types(std::string const& text) {
    std::map<std::string, std::string> all;
    std::istringstream in(text);
    std::string described;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string hash;
        std::string kind;
        std::string name;
        words >> hash >> kind >> name;
        if (hash == "#" && kind == "HELP") {
            described = name;
        } else if (hash == "#" && kind == "TYPE") {
            CHECK(described == name);
            words >> all[name];
        }
    }
    return all;
}

} // namespace

TEST_CASE("metrics: the numbers of images") {
    auto const all = samples(to_metrics(sample_snapshot()));
    auto const of = [&all](std::string const& key) {
        INFO(key);
        auto const at = all.find(key);
        REQUIRE(at != all.end());
        return at->second;
    };
    CHECK(of("seedbed_build_info{version=\"0.1.0\"}") == "1");
    CHECK(of("seedbed_start_time_seconds") == "1769853300");
    CHECK(of("seedbed_healthy") == "1");
    CHECK(
        of("seedbed_image_info{image=\"debian-12-lab\",mode=\"seed\",device=\"/dev/disk/by-id/"
           "ata-Samsung_SSD_870_EVO_1TB_S6PTNM0R123456-part1\",info_hash=\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\","
           "class=\"sata_ssd\",profile=\"nvme\"}") == "1");
    CHECK(of("seedbed_image_state{image=\"win11\",state=\"downloading\"}") == "1");
    CHECK(of("seedbed_image_state{image=\"win11\",state=\"failed\"}") == "0");
    CHECK(of("seedbed_image_state{image=\"data\",state=\"failed\"}") == "1");
    CHECK(of("seedbed_image_progress_ratio{image=\"win11\"}") == "0.4321");
    CHECK(of("seedbed_image_state_duration_seconds{image=\"win11\"}") == "10.25");
    CHECK(of("seedbed_image_size_bytes{image=\"win11\"}") == "10737418240");
    CHECK(of("seedbed_image_peers{image=\"win11\"}") == "2");
    CHECK(of("seedbed_image_downloaded_bytes_total{image=\"win11\"}") == "1000");
    CHECK(of("seedbed_image_uploaded_bytes_total{image=\"win11\"}") == "2000");
    CHECK(of("seedbed_image_device_read_bytes_total{image=\"win11\"}") == "3000");
    CHECK(of("seedbed_image_device_written_bytes_total{image=\"win11\"}") == "4000");
    CHECK(of("seedbed_image_verified{image=\"win11\"}") == "0");
    CHECK(of("seedbed_cache_hits_total") == "980");
    CHECK(of("seedbed_cache_misses_total") == "20");
    CHECK(of("seedbed_cache_locks_total") == "10000");
    CHECK(of("seedbed_cache_contended_locks_total") == "2");
    CHECK(of("seedbed_cache_bytes{state=\"dirty\"}") == "1048576");
    CHECK(of("seedbed_pool_capacity_bytes") == "268435456");
    CHECK(of("seedbed_pool_used_bytes") == "138412032");
}

TEST_CASE("metrics: what an image has on a device, packed or raw") {
    auto snapshot = sample_snapshot();
    auto const raw = samples(to_metrics(snapshot));
    CHECK(raw.at("seedbed_image_stored_bytes{image=\"win11\"}") == "10737418240");
    for (auto& [status, peers, fleet] : snapshot.images) {
        status.unpacked_bytes = 3 * status.total_bytes;
    }
    auto const packed = samples(to_metrics(snapshot));
    CHECK(packed.at("seedbed_image_stored_bytes{image=\"win11\"}") == "32212254720");
    CHECK(packed.at("seedbed_image_size_bytes{image=\"win11\"}") == "10737418240");
}

TEST_CASE("metrics: the progress of an image's hosts") {
    auto snapshot = sample_snapshot();
    snapshot.images[1].fleet = sample_fleet();
    auto const all = samples(to_metrics(snapshot));
    CHECK(all.at("seedbed_fleet_hosts{image=\"debian-12-lab\",state=\"verified\"}") == "1");
    CHECK(all.at("seedbed_fleet_hosts{image=\"debian-12-lab\",state=\"fetching\"}") == "1");
    CHECK(all.at("seedbed_fleet_hosts{image=\"debian-12-lab\",state=\"failed\"}") == "1");
    CHECK(all.at("seedbed_fleet_hosts{image=\"debian-12-lab\",state=\"stopped\"}") == "0");
    CHECK(all.at("seedbed_fleet_expected_hosts{image=\"debian-12-lab\"}") == "4");
    CHECK(all.at("seedbed_fleet_complete_hosts{image=\"debian-12-lab\"}") == "1");
    CHECK(all.at("seedbed_fleet_missing_hosts{image=\"debian-12-lab\"}") == "1");
    CHECK(all.at("seedbed_fleet_deployed{image=\"debian-12-lab\"}") == "0");
    CHECK(all.at("seedbed_fleet_duration_seconds{image=\"debian-12-lab\"}") == "200");
    CHECK_FALSE(all.contains("seedbed_fleet_complete_hosts{image=\"win11\"}")); // an image without a fleet
}

TEST_CASE("metrics: increasing values, and no others, are counters and named so") {
    auto const all = types(to_metrics(sample_snapshot()));
    CHECK(all.size() > 15);
    for (auto const& [name, type] : all) {
        INFO(name);
        CHECK(name.starts_with("seedbed_"));
        CHECK((type == "counter" || type == "gauge"));
        CHECK((type == "counter") == name.ends_with("_total"));
    }
}

TEST_CASE("metrics: every sample belongs to the description above it") {
    auto const text = to_metrics(sample_snapshot());
    std::istringstream in(text);
    std::string present;
    for (std::string line; std::getline(in, line);) {
        INFO(line);
        if (line.starts_with("# TYPE ")) {
            present = line.substr(7, line.find(' ', 7) - 7);
        } else if (!line.starts_with('#')) {
            CHECK(line.substr(0, line.find_first_of("{ ")) == present);
        }
    }
}

TEST_CASE("metrics: labels are escaped") {
    auto snapshot = sample_snapshot();
    snapshot.images.resize(1);
    snapshot.images[0].status.device = "/a\\b\"c\nd\xff";
    CHECK(to_metrics(snapshot).find(R"(,device="/a\\b\"c\nd?",)") != std::string::npos);
}

TEST_CASE("metrics: a daemon that hangs is not healthy") {
    auto snapshot = sample_snapshot();
    snapshot.silence = network_patience;
    CHECK(samples(to_metrics(snapshot)).at("seedbed_healthy") == "0");
}
