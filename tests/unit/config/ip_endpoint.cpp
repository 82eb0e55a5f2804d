#include "config/ip_endpoint.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;
using test::endpoint;

TEST_CASE("ip endpoint: all spellings are equal and are written the same way") {
    CHECK(endpoint("[0:0::0]:6881") == endpoint("[::]:6881"));
    CHECK(endpoint("[2001:DB8:0::1]:1") == endpoint("[2001:db8::1]:1"));
    CHECK(to_string(endpoint("[2001:DB8:0::1]:1")) == "[2001:db8::1]:1");
    CHECK(to_string(endpoint("192.0.2.1:65535")) == "192.0.2.1:65535");
    CHECK(to_string(endpoint("[::1]:1").address) == "::1");
    CHECK_FALSE(endpoint("0.0.0.0:1") == endpoint("[::]:1"));
    CHECK_FALSE(endpoint("[::1]:1") == endpoint("[::1]:2"));
}

TEST_CASE("ip endpoint: every address of the machine") {
    CHECK(any_address(6881) == test::endpoints({"0.0.0.0:6881", "[::]:6881"}));
    CHECK(endpoint("0.0.0.0:1").address.is_any());
    CHECK(endpoint("[::]:1").address.is_any());
    CHECK_FALSE(endpoint("[::1]:1").address.is_any());
    CHECK_FALSE(endpoint("0.0.0.1:1").address.is_any());
}
