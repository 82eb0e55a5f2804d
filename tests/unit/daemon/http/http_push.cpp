#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "daemon/http/http_server.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
namespace asio = boost::asio;

namespace {

/// A server whose responses have no end.
class endless_server {
public:
    explicit endless_server(http_limits const& limits = {})
        : m_server(
              m_context,
              [this](http_request const&) {
                  http_response response;
                  response.fields = {{"X-More", "yes"}};
                  response.on_open = [this](http_push opened) { push = std::move(opened); };
                  return response;
              },
              limits) {
        auto const port = m_server.listen_tcp("127.0.0.1", 0);
        REQUIRE(port);
        client.connect({asio::ip::address_v4::loopback(), *port});
        asio::write(client, asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
        run_until([this] { return push != nullptr; });
    }

    template <class Condition>
    void run_until(Condition condition) {
        m_context.restart();
        while (!condition()) {
            REQUIRE(m_context.run_one_for(10s) > 0);
        }
    }
    std::string read(std::size_t bytes) {
        std::string text(bytes, ' ');
        bool done = false;
        asio::async_read(client, asio::buffer(text), [&done](auto const&, std::size_t) { done = true; });
        run_until([&done] { return done; });
        return text;
    }

private:
    asio::io_context m_context{1};

public:
    asio::ip::tcp::socket client{m_context};
    http_push push;

private:
    http_server m_server;
};

auto part(std::string text) {
    return std::make_shared<std::string const>(std::move(text));
}

} // namespace

TEST_CASE("http push: parts follow the header in their order") {
    endless_server server;
    std::string text;
    while (text.find("\r\n\r\n") == std::string::npos) {
        text += server.read(1);
    }
    CHECK_THAT(text, Contains("200 OK") && Contains("X-More: yes") && Contains("Connection: close") &&
                         !Contains("Content-Length"));
    REQUIRE(server.push(part("one ")));
    CHECK(server.read(4) == "one ");
    REQUIRE(server.push(part("two")));
    CHECK(server.read(3) == "two");
}

TEST_CASE("http push: while a part is being sent, the newest of the following ones waits") {
    endless_server server;
    std::string const large(64U << 20, 'x'); // does not fit into the sockets' buffers
    auto const first = part(large);
    REQUIRE(server.push(first));
    auto const second = part("second");
    REQUIRE(server.push(second));
    CHECK(second.use_count() == 2); // waits
    auto const third = part("third");
    REQUIRE(server.push(third));
    CHECK(second.use_count() == 1); // replaced
    std::string text;
    while (text.find("\r\n\r\n") == std::string::npos) {
        text += server.read(1);
    }
    CHECK(server.read(large.size()) == large);
    CHECK(server.read(5) == "third");
    server.run_until([&third] { return third.use_count() == 1; });
    REQUIRE(server.push(part("fourth")));
    CHECK(server.read(6) == "fourth");
}

TEST_CASE("http push: a client that does not receive is disconnected") {
    http_limits limits;
    limits.request_timeout = 100ms;
    endless_server server(limits);
    auto const large = part(std::string(64U << 20, 'x'));
    REQUIRE(server.push(large));
    auto const waiting = part("waiting");
    REQUIRE(server.push(waiting));
    server.run_until([&large] { return large.use_count() == 1; });
    CHECK(waiting.use_count() == 1); // not kept
    CHECK_FALSE(server.push(part("more")));
}

TEST_CASE("http push: reports that the client has disconnected") {
    endless_server server;
    server.client.close();
    server.run_until([&server] {
        auto const one = part("one");
        auto const exists = server.push(one);
        return !exists;
    });
}
