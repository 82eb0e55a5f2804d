#include "core/cache/back_pressure.hpp"

#include <memory>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

struct observer {};
using pressure = back_pressure<observer>;

} // namespace

TEST_CASE("a sender pauses above the high watermark, not at it") {
    pressure p(800);
    auto const who = std::make_shared<observer>();
    CHECK_FALSE(p.add(800, who));
    CHECK(p.add(1, who));
    CHECK(p.bytes() == 801);
}

TEST_CASE("observers are handed out at the low watermark, seven eighths of the high one, and not before") {
    pressure p(800);
    auto const who = std::make_shared<observer>();
    CHECK(p.add(801, who));
    CHECK(p.remove(100).empty()); // 701
    auto const woken = p.remove(1);
    REQUIRE(woken.size() == 1);
    CHECK(woken[0].lock() == who);
    CHECK(p.remove(700).empty());
    CHECK(p.bytes() == 0);
}

TEST_CASE("a sender that was not paused is not woken") {
    pressure p(800);
    CHECK_FALSE(p.add(700, std::make_shared<observer>()));
    CHECK(p.remove(700).empty());
}

TEST_CASE("each observer is handed out once, however often its sender was paused") {
    pressure p(100);
    auto const a = std::make_shared<observer>();
    auto const b = std::make_shared<observer>();
    CHECK(p.add(101, a));
    CHECK(p.add(10, b));
    CHECK(p.add(10, a));
    CHECK(p.add(10, nullptr));
    auto const woken = p.remove(131);
    REQUIRE(woken.size() == 2);
    CHECK(woken[0].lock() == a);
    CHECK(woken[1].lock() == b);
    CHECK(p.add(101, a));
    CHECK(p.remove(101).size() == 1);
}

TEST_CASE("an observer is not kept alive") {
    pressure p(100);
    auto who = std::make_shared<observer>();
    CHECK(p.add(101, who));
    who.reset();
    auto const woken = p.remove(101);
    REQUIRE(woken.size() == 1);
    CHECK(woken[0].expired());
}

TEST_CASE("watermarks change while bytes wait") {
    pressure p(100);
    auto const who = std::make_shared<observer>();
    CHECK(p.add(150, who));
    p.set_high_watermark(1000);
    CHECK(p.high_watermark() == 1000);
    CHECK_FALSE(p.add(10, who));
    CHECK(p.remove(10).size() == 1); // 150 are below 875
    p.set_high_watermark(100);
    CHECK(p.add(1, who));
    CHECK(p.remove(51).empty()); // 100 are not below 88
    CHECK(p.remove(12).size() == 1);
}

TEST_CASE("the smallest watermark still lets one byte through, and the last byte wakes") {
    pressure p(0);
    CHECK(p.high_watermark() == 1);
    auto const who = std::make_shared<observer>();
    CHECK_FALSE(p.add(1, who));
    CHECK(p.add(1, who));
    CHECK(p.remove(1).size() == 1);
    p.set_high_watermark(-5);
    CHECK(p.high_watermark() == 1);
}
