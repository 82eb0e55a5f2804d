#include "core/device/growth.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("the partition to grow, as text") {
    using enum growth::choice;
    CHECK(parse_growth("none") == growth{});
    CHECK(parse_growth("last") == growth{last, 0});
    CHECK(parse_growth("3") == growth{numbered, 3});
    for (auto const* bad : {"", "0", "-1", "1025", "3x", " 3", "Last", "99999999999"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_growth(bad));
    }
    for (auto const& each : {growth{}, growth{last, 0}, growth{numbered, 1024}}) {
        CHECK(parse_growth(to_string(each)) == each);
    }
}
