#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "daemon/http/http_server.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
namespace asio = boost::asio;

namespace {

/// A server whose response has parts, and a client, on one loop.
class server_of_parts {
public:
    /// \param size of all parts. \param list the parts; after the last one, a read fails.
    server_of_parts(std::uint64_t size, std::deque<std::string> list, http_limits const& limits = {})
        : parts(std::move(list))
        , m_server(
              m_context,
              [this, size](http_request const&) {
                  http_response response;
                  response.body = "own,";
                  response.parts = {size, [this](http_receive_part receive) { read(std::move(receive)); }};
                  return response;
              },
              limits) {
        auto const port = m_server.listen_tcp("127.0.0.1", 0);
        REQUIRE(port);
        client.connect({asio::ip::address_v4::loopback(), *port});
    }

    /// Sends a request, and reads until the response has \p last or the connection has ended.
    std::string ask(std::string const& head, std::string const& last) {
        asio::write(client, asio::buffer(head + " HTTP/1.1\r\n\r\n"));
        std::string text;
        bool done = false;
        asio::async_read_until(client, asio::dynamic_buffer(text), last,
                               [&](auto const& ec, std::size_t) { done = true, ended = ec == asio::error::eof; });
        run_until([&done] { return done; });
        return text;
    }
    template <class Condition>
    void run_until(Condition condition) {
        m_context.restart();
        while (!condition()) {
            REQUIRE(m_context.run_one_for(10s) > 0);
        }
    }
    [[nodiscard]] std::size_t connections() const noexcept { return m_server.connections(); }

    std::deque<std::string> parts;
    std::size_t reads = 0;
    bool ended = false;

private:
    void read(http_receive_part receive) {
        ++reads;
        asio::post(m_context, [this, receive = std::move(receive)] {
            auto next = parts.empty() ? nullptr : std::make_shared<std::string const>(std::move(parts.front()));
            if (!parts.empty()) {
                parts.pop_front();
            }
            receive(std::move(next));
        });
    }

    asio::io_context m_context{1};

public:
    asio::ip::tcp::socket client{m_context};

private:
    http_server m_server;
};

} // namespace

TEST_CASE("http parts: they follow the body, and the connection is kept") {
    server_of_parts server(6, {"one", "t", "wo", "end", "end"});
    auto const text = server.ask("GET /", "own,onetwo");
    CHECK_THAT(text, Contains("200 OK") && Contains("Content-Length: 10\r\n"));
    CHECK_THAT(server.ask("GET /", "own,endend"), Contains("Content-Length: 10\r\n"));
    CHECK(server.reads == 5);
    CHECK_FALSE(server.ended);
}

TEST_CASE("http parts: HEAD gets their length, and reads none") {
    server_of_parts server(6, {"onetwo"});
    CHECK_THAT(server.ask("HEAD /", "\r\n\r\n"), Contains("Content-Length: 10\r\n") && !Contains("own"));
    CHECK(server.reads == 0);
}

TEST_CASE("http parts: one that cannot be read, is empty or too long ends an incomplete response") {
    for (auto const& parts : {std::deque<std::string>{"one"}, {"one", ""}, {"one", "twoo"}}) {
        server_of_parts server(6, parts);
        auto const text = server.ask("GET /", "never");
        CHECK(server.ended);
        CHECK_THAT(text, Contains("Content-Length: 10\r\n") && Catch::EndsWith("\r\n\r\nown,one"));
        CHECK(server.connections() == 0);
        CHECK(server.reads == 2);
    }
}

TEST_CASE("http parts: a client that does not receive is disconnected, whatever the length of the response") {
    http_limits limits;
    limits.idle_timeout = 100ms;
    // 64 MiB do not fit into the sockets' buffers.
    server_of_parts server(1ULL << 40, std::deque<std::string>(1024, std::string(64U << 10, 'x')), limits);
    asio::write(server.client, asio::buffer(std::string("GET / HTTP/1.1\r\n\r\n")));
    server.run_until([&server] { return server.reads > 0; });
    server.run_until([&server] { return server.connections() == 0; });
    CHECK(server.reads < 1024);
}
