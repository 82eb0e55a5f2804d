#include "daemon/machine/job_json.hpp"

#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "daemon/machine/machine_job.hpp"

using namespace seedbed;
using nlohmann::json;

TEST_CASE("job json: texts are printable and have a limit") {
    CHECK(printable_or_null("a\x1b[2Jb").dump() == R"("a?[2Jb")");
    CHECK(printable_or_null("").is_null());
    json const object{{"escape", "a\x1b]b"}, {"long", std::string(longest_job_text + 1, 'x')}, {"number", 1}};
    CHECK(job_text(object, "escape") == "a?]b");
    CHECK(job_text(object, "long") == std::string(longest_job_text, 'x'));
    CHECK(job_text(object, "number").empty());
    CHECK(job_text(object, "missing").empty());
}

TEST_CASE("job json: an order survives a round trip, its rule for the disk exactly") {
    machine_order order;
    order.image = "win11";
    order.disk = "/dev/disk/by-partlabel/Gr\u00f6\u00dfe";
    order.grow = {growth::choice::numbered, 3};
    order.new_ids = true;
    order.after = after_deploy::poweroff;
    nlohmann::ordered_json object;
    add_order(object, order);
    auto const read = read_order(json::parse(object.dump()));
    REQUIRE(read);
    CHECK(read->image == order.image);
    CHECK(read->disk == order.disk);
    CHECK(read->grow == order.grow);
    CHECK(read->new_ids);
    CHECK(read->after == order.after);
}

TEST_CASE("job json: an order that is not understood is refused") {
    json const good{{"image", "win11"}, {"disk", "auto"}, {"after", "reboot"}};
    REQUIRE(read_order(good));
    for (auto const* const key : {"image", "disk", "after"}) {
        auto missing = good;
        missing.erase(key);
        CHECK_FALSE(read_order(missing));
    }
    for (auto const& [key, value] : {std::pair<char const*, json>("image", "../x"),
                                     {"image", 1},
                                     {"disk", "any"},
                                     {"after", "halt"},
                                     {"grow", 1},
                                     {"new_ids", "yes"}}) {
        auto wrong = good;
        wrong[key] = value;
        CHECK_FALSE(read_order(wrong));
    }
}
