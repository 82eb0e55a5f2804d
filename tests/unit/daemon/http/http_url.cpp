#include "daemon/http/http_url.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;
using Catch::Contains;

TEST_CASE("http url: host, port and target", "[http_url]") {
    struct row {
        char const* url;
        http_authority server;
        char const* target;
    };
    for (auto const& [url, server, target] :
         {row{"http://seed.example.org:6969/images/win11", {"seed.example.org", 6969}, "/images/win11"},
          row{"http://192.0.2.1", {"192.0.2.1", 80}, "/"},
          row{"http://[2001:db8::1]:81/a?b#c", {"2001:db8::1", 81}, "/a?b"}, row{"http://a?b", {"a", 80}, "/?b"},
          row{"http://a/%2e%2e/x", {"a", 80}, "/%2e%2e/x"}}) {
        CAPTURE(url);
        auto const parsed = parse_http_url(url);
        REQUIRE(parsed);
        CHECK(parsed->server == server);
        CHECK(parsed->target == target);
    }
    CHECK(http_authority{"2001:db8::1", 81}.text() == "[2001:db8::1]:81");
}

TEST_CASE("http url: anything else is refused in one line", "[http_url]") {
    for (auto const* const url :
         {"", "http://", "http:///x", "http://:80", "http://a:", "http://a:0", "http://a:65536", "http://a:b@c/",
          "http://[::1", "http://[1.2.3.4]/", "http://a b/", "http://a/\n", "http://a/\x7f", "ftp://a/", "a/b"}) {
        CAPTURE(url);
        auto const parsed = parse_http_url(url);
        REQUIRE_FALSE(parsed);
        CHECK_THAT(parsed.error().message, !Contains("\n"));
    }
    CHECK_THAT(parse_http_url("https://a/").error().message, Contains("'https://a/' is not supported"));
    CHECK_FALSE(parse_authority(std::string(254, 'a')));
}

TEST_CASE("http url: a client names the server, or its address does", "[http_url]") {
    http_request request;
    request.local_address = "192.0.2.1";
    request.local_port = 6969;
    CHECK(server_named_by(request) == "192.0.2.1:6969");
    request.host = "seed:6970";
    CHECK(server_named_by(request) == "seed:6970");
    request.host = "bad\"host:1";
    CHECK(server_named_by(request) == "192.0.2.1:6969");
    request.local_address = "2001:db8::1";
    CHECK(server_named_by(request) == "[2001:db8::1]:6969");
    request.local_address = "fe80::1%eth0";
    CHECK(server_named_by(request).empty());
}
