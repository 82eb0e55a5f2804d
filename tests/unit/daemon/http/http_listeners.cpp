#include "daemon/http/http_listeners.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

/// An address of this machine with a port that was free just before.
ip_endpoint free_address() {
    asio::io_context context;
    auto const port = tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
    return test::endpoint("127.0.0.1:" + std::to_string(port));
}

/// Listeners and a client, on one loop.
struct listening {
    asio::io_context context{1};
    http_listeners listeners{context, [](http_request const& request, http_respond const& respond) {
                                 respond({200, "text/plain", "port " + std::to_string(request.local_port)});
                             }};

    template <class Condition>
    void run_until(Condition condition) {
        context.restart();
        while (!condition()) {
            REQUIRE(context.run_one_for(10s) > 0);
        }
    }
    /// Sends a request, and returns the response up to \p last; without one if the server has disconnected.
    std::string get(tcp::socket& client, std::string const& last) {
        boost::system::error_code ended_by_server;
        asio::write(client, asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")), ended_by_server);
        std::string text;
        bool ended = false;
        asio::async_read_until(client, asio::dynamic_buffer(text), last,
                               [&ended](auto const&, std::size_t) { ended = true; });
        run_until([&ended] { return ended; });
        return text;
    }
};

} // namespace

TEST_CASE("http listeners: an unchanged address keeps its connections, a removed one loses them") {
    listening here;
    auto const first = free_address();
    auto const second = free_address();
    auto opened = here.listeners.apply({first, second}, {});
    CHECK(opened.opened == std::vector{first, second});
    CHECK((opened.closed.empty() && opened.failed.empty()));
    tcp::socket kept(here.context);
    tcp::socket lost(here.context);
    kept.connect({asio::ip::address_v4::loopback(), first.port});
    lost.connect({asio::ip::address_v4::loopback(), second.port});
    auto const answer = "port " + std::to_string(first.port);
    auto const lost_answer = "port " + std::to_string(second.port);
    CHECK_THAT(here.get(kept, answer), Contains(answer));
    CHECK_THAT(here.get(lost, lost_answer), Contains(lost_answer));

    auto const third = free_address();
    auto const changed = here.listeners.apply({third, first}, {});
    CHECK(changed.opened == std::vector{third});
    CHECK(changed.closed == std::vector{second});
    CHECK(changed.failed.empty());
    CHECK_THAT(here.get(kept, answer), Contains(answer));
    CHECK_THAT(here.get(lost, "\r\n\r\n"), !Contains("HTTP"));

    here.listeners.close();
    CHECK(here.listeners.addresses().empty());
    CHECK_THAT(here.get(kept, "\r\n\r\n"), !Contains("HTTP"));
}

TEST_CASE("http listeners: an address that fails does not stop the others, and is tried again") {
    listening here;
    tcp::acceptor occupied(here.context, {asio::ip::address_v4::loopback(), 0});
    auto const busy = test::endpoint("127.0.0.1:" + std::to_string(occupied.local_endpoint().port()));
    auto const free = free_address();
    auto const opened = here.listeners.apply({busy, free}, {});
    CHECK(opened.opened == std::vector{free});
    REQUIRE(opened.failed.size() == 1);
    CHECK(opened.failed.front().message == "listen on " + to_string(busy) + ": Address already in use");
    CHECK(here.listeners.addresses() == std::vector{free});

    occupied.close();
    auto const again = here.listeners.apply({busy, free}, {});
    CHECK(again.opened == std::vector{busy});
    CHECK((again.failed.empty() && again.closed.empty()));
}

TEST_CASE("http listeners: an unchanged address gets new limits") {
    listening here;
    auto const address = free_address();
    static_cast<void>(here.listeners.apply({address}, {}));
    tcp::socket first(here.context);
    first.connect({asio::ip::address_v4::loopback(), address.port});
    auto const answer = "port " + std::to_string(address.port);
    CHECK_THAT(here.get(first, answer), Contains(answer));
    http_limits limits;
    limits.per_address = 1;
    auto const changes = here.listeners.apply({address}, limits);
    CHECK((changes.opened.empty() && changes.closed.empty() && changes.failed.empty()));
    CHECK_THAT(here.get(first, answer), Contains(answer));
    tcp::socket second(here.context);
    second.connect({asio::ip::address_v4::loopback(), address.port});
    CHECK_THAT(here.get(second, answer), Contains(answer));
    CHECK_THAT(here.get(first, "\r\n\r\n"), !Contains("HTTP"));
}
