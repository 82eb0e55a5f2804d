#include "daemon/http/http_client.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/error.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <catch2/catch.hpp>

#include "daemon/http/http_server.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
namespace asio = boost::asio;
using boost::system::error_code;
using seedbed::test::temp_dir;
using tcp = asio::ip::tcp;
using outcome = tl::expected<http_client::response, http_client::failure>;

namespace {

/// A server that sends whatever a test provides, HTTP or not.
class raw_server {
public:
    using connection = std::shared_ptr<tcp::socket>;

    /// \param serve gets each connection after the head of its request was read.
    raw_server(asio::io_context& context, std::function<void(connection)> serve, std::string const& address)
        : m_acceptor(context, {asio::ip::make_address(address), 0})
        , m_serve(std::move(serve)) {
        accept();
    }

    [[nodiscard]] tcp::endpoint endpoint() const { return m_acceptor.local_endpoint(); }
    std::vector<std::string> requests;
    std::vector<tcp::endpoint> clients;

private:
    void accept() {
        m_acceptor.async_accept([this](error_code const& ec, tcp::socket socket) {
            if (ec) {
                return;
            }
            clients.push_back(socket.remote_endpoint());
            auto const made = std::make_shared<tcp::socket>(std::move(socket));
            auto const text = std::make_shared<std::string>();
            asio::async_read_until(*made, asio::dynamic_buffer(*text), "\r\n\r\n",
                                   [this, made, text](error_code const& failed, std::size_t) {
                                       if (!failed) {
                                           requests.push_back(*text);
                                           m_serve(made);
                                       }
                                   });
            accept();
        });
    }

    tcp::acceptor m_acceptor;
    std::function<void(connection)> m_serve;
};

void send(raw_server::connection const& to, std::string const& text, bool then_close = true) {
    auto const kept = std::make_shared<std::string>(text);
    asio::async_write(*to, asio::buffer(*kept), [to, kept, then_close](error_code const&, std::size_t) {
        if (then_close) {
            error_code ignored; // the client may have closed it
            to->shutdown(tcp::socket::shutdown_both, ignored);
        }
    });
}

/// A byte of a response that never ends every 10 ms, until the client closes the connection.
void drip(raw_server::connection const& to, std::shared_ptr<int> const& sent) {
    asio::async_write(*to, asio::buffer("x", 1), [to, sent](error_code const& ec, std::size_t) {
        if (ec) {
            return;
        }
        ++*sent;
        auto const timer = std::make_shared<asio::steady_timer>(to->get_executor(), 10ms);
        timer->async_wait([to, sent, timer](error_code const&) { drip(to, sent); });
    });
}

struct fixture {
    asio::io_context context{1};
    http_client client{context};
    http_client::limits limits{.timeout = 1min};
    std::vector<outcome> outcomes;

    void get(http_endpoint const& from, std::string const& target = "/status") {
        client.get(from, {target, "localhost"}, limits, [this](outcome got) { outcomes.push_back(std::move(got)); });
        CHECK(outcomes.empty()); // not from within get()
    }
    /// The outcome of a request that ends.
    outcome await(http_endpoint const& from) {
        get(from);
        auto const end = std::chrono::steady_clock::now() + 20s;
        while (outcomes.empty() && std::chrono::steady_clock::now() < end) {
            context.run_one_until(end);
        }
        REQUIRE(outcomes.size() == 1);
        return outcomes.front();
    }
    /// The outcome if \p serve serves the request.
    outcome from(std::function<void(raw_server::connection)> serve) {
        raw_server server(context, std::move(serve), "127.0.0.1");
        return await(http_endpoint(server.endpoint()));
    }
    outcome from_text(std::string const& text) {
        return from([text](raw_server::connection const& to) { send(to, text); });
    }
};

} // namespace

TEST_CASE("http client: a response has its status, its server and its body") {
    fixture f;
    auto const got = f.from_text("HTTP/1.1 404 Not Found\r\nServer: Seedbed/9\r\nContent-Length: 4\r\n\r\ngone");
    REQUIRE(got);
    CHECK(got->status == 404);
    CHECK(got->server == "Seedbed/9");
    CHECK(got->body == "gone");
}

TEST_CASE("http client: the request names target, host and program, and is the only one") {
    fixture f;
    raw_server server(
        f.context, [](auto const& to) { send(to, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); }, "127.0.0.1");
    REQUIRE(f.await(http_endpoint(server.endpoint())));
    REQUIRE(server.requests.size() == 1);
    CHECK_THAT(server.requests.front(),
               Catch::StartsWith("GET /status HTTP/1.0\r\n") && Catch::Contains("Host: localhost\r\n") &&
                   Catch::Contains("User-Agent: Seedbed/") && !Catch::Contains("Connection: keep-alive"));
}

TEST_CASE("http client: a body without a length ends with the connection") {
    fixture f;
    auto const got = f.from_text("HTTP/1.1 200 OK\r\n\r\nall of it");
    REQUIRE(got);
    CHECK(got->body == "all of it");
    CHECK(got->server.empty());
}

TEST_CASE("http client: a body in chunks, which HTTP/1.0 does not have, is a failure") {
    fixture f;
    auto const got = f.from_text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::beast::http::error::bad_transfer_encoding);
    CHECK(got.error().reason == "bad Transfer-Encoding");
}

TEST_CASE("http client: the connection comes from the given local address") {
    fixture f;
    raw_server server(
        f.context, [](auto const& to) { send(to, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); }, "127.0.0.1");
    REQUIRE(f.await(http_endpoint(server.endpoint(), asio::ip::make_address("127.0.0.9"))));
    REQUIRE(server.clients.size() == 1);
    CHECK(server.clients.front().address().to_string() == "127.0.0.9");
}

TEST_CASE("http client: a local address that this machine does not have is a failure") {
    fixture f;
    auto const got = f.await(
        http_endpoint(tcp::endpoint(asio::ip::make_address("127.0.0.1"), 9), asio::ip::make_address("192.0.2.1")));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::system::errc::address_not_available);
}

TEST_CASE("http client: a Unix socket works, too") {
    temp_dir const folder;
    auto const path = (folder / "control").string();
    fixture f;
    http_server server(f.context, [](http_request const& request) {
        return http_response{200, "text/plain", request.target};
    });
    REQUIRE(server.listen_unix(path, 0600));
    auto const from = http_endpoint::unix_socket(path);
    REQUIRE(from);
    auto const got = f.await(*from);
    REQUIRE(got);
    CHECK(got->body == "/status");
}

TEST_CASE("http client: the path of a Unix socket can be too long or lead nowhere") {
    CHECK_FALSE(http_endpoint::unix_socket("/" + std::string(200, 'x')));
    fixture f;
    temp_dir const folder;
    auto const got = f.await(http_endpoint::unix_socket((folder / "nothing").string()).value());
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::system::errc::no_such_file_or_directory);
}

TEST_CASE("http client: a refused connection is a failure") {
    fixture f;
    tcp::endpoint nobody;
    {
        raw_server const server(
            f.context, [](auto const&) {}, "127.0.0.1");
        nobody = server.endpoint();
    }
    auto const got = f.await(http_endpoint(nobody));
    REQUIRE_FALSE(got);
    CHECK(got.error().code == asio::error::connection_refused);
    CHECK(got.error().reason == "Connection refused");
}

TEST_CASE("http client: a connection closed before or within the response is a failure") {
    for (std::string const text :
         {"", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"}) {
        INFO(text);
        fixture f;
        auto const got = f.from_text(text);
        REQUIRE_FALSE(got);
        CHECK_FALSE(got.error().reason.empty());
    }
}

TEST_CASE("http client: a server that sends no HTTP is a failure") {
    fixture f;
    auto const got = f.from_text("220 mail.example.org ESMTP\r\n\r\n");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::beast::http::error::bad_version);
}

TEST_CASE("http client: the timeout ends a request that is not answered") {
    fixture f;
    f.limits.timeout = 200ms;
    std::vector<raw_server::connection> kept;
    auto const got = f.from([&kept](auto const& to) { kept.push_back(to); });
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::beast::error::timeout);
    CHECK(got.error().reason == "no answer within 0.2s");
}

TEST_CASE("http client: the timeout is for the whole response, however often a byte of it arrives") {
    fixture f;
    f.limits.timeout = 2s; // long enough for a second byte on a busy machine
    auto const sent = std::make_shared<int>(0);
    auto const got = f.from([sent](auto const& to) {
        send(to, "HTTP/1.1 200 OK\r\n\r\n", false);
        drip(to, sent);
    });
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::beast::error::timeout);
    CHECK(*sent > 1);
}

TEST_CASE("http client: a body of the limit is accepted, and one byte more is a failure") {
    fixture f;
    f.limits.body_bytes = 1000;
    auto const text = [](std::size_t size) {
        return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x');
    };
    CHECK(f.from_text(text(1000)));
    f.outcomes.clear();
    auto const more = f.from_text(text(1001));
    REQUIRE_FALSE(more);
    CHECK(more.error().code == boost::beast::http::error::body_limit);
    f.outcomes.clear();
    auto const unannounced = f.from_text("HTTP/1.1 200 OK\r\n\r\n" + std::string(100'000, 'x'));
    REQUIRE_FALSE(unannounced);
    CHECK(unannounced.error().code == boost::beast::http::error::body_limit);
}

TEST_CASE("http client: a header above its limit is a failure") {
    fixture f;
    f.limits.header_bytes = 500;
    auto const got = f.from_text("HTTP/1.1 200 OK\r\nX: " + std::string(1000, 'x') + "\r\n\r\n");
    REQUIRE_FALSE(got);
    CHECK(got.error().code == boost::beast::http::error::header_limit);
}

TEST_CASE("http client: a cancelled request calls nothing and closes its connection") {
    fixture f;
    bool closed = false;
    raw_server server(
        f.context,
        [&](raw_server::connection const& to) {
            f.client.cancel();
            auto const byte = std::make_shared<char>();
            to->async_read_some(asio::buffer(byte.get(), 1), [&closed, to, byte](error_code const& ec, std::size_t) {
                closed = ec == asio::error::eof;
            });
        },
        "127.0.0.1");
    f.get(http_endpoint(server.endpoint()));
    auto const end = std::chrono::steady_clock::now() + 20s;
    while (!closed && std::chrono::steady_clock::now() < end) {
        f.context.run_one_until(end);
    }
    CHECK(closed);
    f.context.poll();
    CHECK(f.outcomes.empty());
}

TEST_CASE("http client: a second request replaces the first") {
    fixture f;
    std::vector<raw_server::connection> kept;
    raw_server silent(
        f.context, [&kept](auto const& to) { kept.push_back(to); }, "127.0.0.1");
    raw_server server(
        f.context, [](auto const& to) { send(to, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"); }, "127.0.0.1");
    f.get(http_endpoint(silent.endpoint()));
    auto const got = f.await(http_endpoint(server.endpoint()));
    REQUIRE(got);
    CHECK(got->body == "two");
    f.context.poll();
    CHECK(f.outcomes.size() == 1);
}

TEST_CASE("http client: a receiver that owns the client goes with the io_context") {
    std::weak_ptr<http_client> left;
    {
        asio::io_context context{1};
        bool connected = false;
        raw_server silent(
            context, [&connected](auto const&) { connected = true; }, "127.0.0.1");
        auto client = std::make_shared<http_client>(context);
        left = client;
        client->get(http_endpoint(silent.endpoint()), {"/", "localhost"}, {.timeout = 1min},
                    [client](outcome const&) {});
        client.reset();
        while (!connected) {
            context.run_one();
        }
        CHECK_FALSE(left.expired());
    }
    CHECK(left.expired());
}

TEST_CASE("http client: the receiver may destroy the client") {
    asio::io_context context{1};
    raw_server server(
        context, [](auto const& to) { send(to, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); }, "127.0.0.1");
    auto client = std::make_unique<http_client>(context);
    bool called = false;
    client->get(http_endpoint(server.endpoint()), {"/", "localhost"}, {.timeout = 1min}, [&](outcome const& got) {
        called = got.has_value();
        client.reset();
    });
    auto const end = std::chrono::steady_clock::now() + 20s;
    while (client && std::chrono::steady_clock::now() < end) {
        context.run_one_until(end);
    }
    CHECK(called);
    context.poll();
}
