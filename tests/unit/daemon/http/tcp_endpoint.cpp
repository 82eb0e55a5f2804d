#include "daemon/http/tcp_endpoint.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;

TEST_CASE("tcp endpoint: an endpoint of the configuration keeps its address and port") {
    for (std::string const text : {"192.0.2.1:6881", "0.0.0.0:1", "[2001:db8::1]:65535", "[::]:6881"}) {
        auto const configured = test::endpoint(text);
        auto const converted = to_tcp_endpoint(configured);
        CHECK(converted.address().to_string() == to_string(configured.address));
        CHECK(converted.port() == configured.port);
        CHECK(to_ip_address(converted.address()) == configured.address);
        CHECK(to_tcp_endpoints({configured, configured}) == std::vector{converted, converted});
    }
}

TEST_CASE("tcp endpoint: an address loses its scope") {
    CHECK(to_ip_address(boost::asio::ip::make_address("fe80::1%1")) == test::addresses({"fe80::1"}).front());
}
