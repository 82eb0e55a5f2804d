#include "daemon/http/host_resolver.hpp"

#include <future>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;
using boost::system::error_code;
using endpoints = host_resolver::endpoints;

namespace {

/// A DNS server that does not answer until the test wants it to.
struct silent_dns {
    std::promise<void> asked;
    std::promise<void> answer;
    std::promise<void> returned;

    static host_resolver::lookup of(std::shared_ptr<silent_dns> const& dns) {
        return [dns](std::string const&, endpoints& found) {
            dns->asked.set_value();
            dns->answer.get_future().wait();
            found = {{boost::asio::ip::make_address("192.0.2.1"), 0}};
            dns->returned.set_value();
            return error_code();
        };
    }
};

} // namespace

TEST_CASE("host resolver: a name has addresses, with the port that was asked for") {
    boost::asio::io_context context{1};
    host_resolver resolver(context);
    std::optional<endpoints> got;
    resolver.resolve("localhost", 6969, [&](error_code const& ec, endpoints const& found) {
        CHECK_FALSE(ec);
        got = found;
    });
    auto const work = boost::asio::make_work_guard(context);
    while (!got) {
        context.run_one();
    }
    REQUIRE_FALSE(got->empty());
    CHECK(got->front().address().is_loopback());
    CHECK(got->front().port() == 6969);
}

TEST_CASE("host resolver: a name that does not exist is an error") {
    boost::asio::io_context context{1};
    host_resolver resolver(context, [](std::string const& host, endpoints&) {
        CHECK(host == "nowhere.example");
        return error_code(boost::asio::error::host_not_found);
    });
    std::optional<error_code> got;
    resolver.resolve("nowhere.example", 1, [&](error_code const& ec, endpoints const& found) {
        CHECK(found.empty());
        got = ec;
    });
    auto const work = boost::asio::make_work_guard(context);
    while (!got) {
        context.run_one();
    }
    CHECK(*got == boost::asio::error::host_not_found);
    endpoints none;
    CHECK(host_resolver::look_up("host.invalid.", none));
    CHECK(none.empty());
}

TEST_CASE("host resolver: nothing waits for a DNS server that does not answer") {
    auto const dns = std::make_shared<silent_dns>();
    auto returned = dns->returned.get_future();
    bool called = false;
    {
        boost::asio::io_context context{1};
        host_resolver resolver(context, silent_dns::of(dns));
        resolver.resolve("seed.example", 1, [&](error_code const&, endpoints const&) { called = true; });
        dns->asked.get_future().wait();
        context.run(); // returns at once
    }
    dns->answer.set_value(); // the answer comes after the end of everything that it could touch
    returned.wait();
    CHECK_FALSE(called);
}

TEST_CASE("host resolver: the next request replaces a pending one") {
    auto const dns = std::make_shared<silent_dns>();
    boost::asio::io_context context{1};
    host_resolver resolver(context, [silent = silent_dns::of(dns)](std::string const& host, endpoints& found) {
        return host == "silent.example" ? silent(host, found) : error_code(boost::asio::error::host_not_found);
    });
    int first = 0;
    int second = 0;
    auto const work = boost::asio::make_work_guard(context);
    resolver.resolve("silent.example", 1, [&](error_code const&, endpoints const&) { ++first; });
    dns->asked.get_future().wait();
    auto returned = dns->returned.get_future();
    resolver.resolve("other.example", 1, [&](error_code const&, endpoints const&) {
        ++second;
        dns->answer.set_value();
        returned.wait();
    });
    while (second == 0) {
        context.run_one();
    }
    context.poll();
    CHECK(first == 0);
    CHECK(second == 1);
}
