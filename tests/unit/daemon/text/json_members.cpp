#include "daemon/text/json_members.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;
using std::chrono::system_clock;

TEST_CASE("json members: what is unknown is null") {
    CHECK(value_or_null(std::optional<std::int64_t>(0)).dump() == "0");
    CHECK(value_or_null(std::optional<std::int64_t>()).is_null());
    CHECK(value_or_null(true, false).dump() == "false");
    CHECK(value_or_null(false, 7).is_null());
    CHECK(text_or_null("a\"b").dump() == R"("a\"b")");
    CHECK(text_or_null("").is_null());
    CHECK(utc_or_null(system_clock::from_time_t(0)).dump() == R"("1970-01-01T00:00:00Z")");
    CHECK(utc_or_null(std::nullopt).is_null());
}

TEST_CASE("json members: a text that is missing or has another type is empty") {
    auto const object = nlohmann::json::parse(R"({"a": "text", "b": 1, "c": null})");
    CHECK(member_text(object, "a") == "text");
    CHECK(member_text(object, "b").empty());
    CHECK(member_text(object, "c").empty());
    CHECK(member_text(object, "d").empty());
    CHECK(member_text(nlohmann::json::array(), "a").empty());
}
