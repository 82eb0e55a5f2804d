#include "daemon/status/control_server.hpp"

#include <filesystem>
#include <fstream>

#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>

#include "daemon/status/board_document.hpp"
#include "daemon/status/status_document.hpp"
#include "support/endpoints.hpp"
#include "support/sample_status.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;
using Catch::Contains;
namespace asio = boost::asio;

namespace {

/// A control server on its own thread, as the daemon's runs on the main thread.
class running_server {
public:
    running_server()
        : m_server(
              m_context,
              [this](status_collector::clock::duration patience, status_collector::receiver call) {
                  m_patience = patience;
                  call(present);
              },
              [this] { return machines; }, {},
              [this](reload_receiver const& receive) {
                  ++reloads;
                  receive(reloaded);
              }) {}
    running_server(running_server const&) = delete;
    running_server& operator=(running_server const&) = delete;
    ~running_server() {
        m_server.close();
        m_context.restart();
        m_context.run(); // hangs if close() leaves an operation behind
    }

    void apply(std::string const& socket, std::vector<std::string> const& listen = {}) {
        m_server.apply({socket}, {test::endpoints(listen)});
    }

    /// Sends a request, and runs the server until the response has arrived.
    template <class Protocol>
    std::string get(typename Protocol::endpoint const& at, std::string const& target, std::string const& method) {
        typename Protocol::socket client(m_context);
        std::string answer;
        bool ended = false;
        auto const request = method + " " + target + " HTTP/1.0\r\n\r\n";
        client.connect(at);
        asio::write(client, asio::buffer(request));
        asio::async_read(client, asio::dynamic_buffer(answer), [&ended](auto const&, std::size_t) { ended = true; });
        m_context.restart();
        while (!ended) {
            REQUIRE(m_context.run_one_for(10s) > 0);
        }
        return answer;
    }
    std::string get(std::string const& socket, std::string const& target, std::string const& method = "GET") {
        return get<asio::local::stream_protocol>(socket, target, method);
    }
    std::string get(std::uint16_t port, std::string const& target) {
        return get<asio::ip::tcp>({asio::ip::address_v4::loopback(), port}, target, "GET");
    }

    status_snapshot present = sample_snapshot();
    status_collector::clock::duration m_patience{};
    std::vector<machine_row> machines;
    int reloads = 0;
    reload_outcome reloaded;

private:
    asio::io_context m_context{1};
    control_server m_server;
};

std::uint16_t free_port() {
    asio::io_context context;
    return asio::ip::tcp::acceptor(context, {asio::ip::address_v4::loopback(), 0}).local_endpoint().port();
}

std::string body(std::string const& answer) {
    auto const at = answer.find("\r\n\r\n");
    REQUIRE(at != std::string::npos);
    return answer.substr(at + 4);
}

} // namespace

TEST_CASE("control server: the response of each path") {
    temp_dir const folder;
    auto const socket = (folder / "s.sock").string();
    running_server server;
    server.apply(socket);

    auto const status = server.get(socket, "/status");
    CHECK_THAT(status, Contains("200 OK") && Contains("Content-Type: application/json\r\n"));
    CHECK(body(status) == to_status_document(server.present) + "\n");
    CHECK(server.m_patience <= 2s);

    server.machines.push_back({.name = "PC-17"});
    CHECK(body(server.get(socket, "/board")) ==
          to_board_document(make_board(server.machines, server.present), server.present) + "\n");

    auto const metrics = server.get(socket, "/metrics?x=1");
    CHECK_THAT(metrics, Contains("200 OK") && Contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n") &&
                            Contains("seedbed_image_peers{image=\"win11\"} 2\n"));

    CHECK(body(server.get(socket, "/healthz")) == "ok\n");
    CHECK(server.m_patience >= network_patience); // so that silence is a complaint when the response is sent
    CHECK_THAT(server.get(socket, "/"), Contains("404 Not Found"));
    CHECK_THAT(server.get(socket, "/status/"), Contains("404 Not Found"));
    CHECK_THAT(server.get(socket, "/status", "POST"), Contains("405 Method Not Allowed"));
    CHECK(body(server.get(socket, "/status", "HEAD")).empty());
}

TEST_CASE("control server: a hang is reported as unhealthy") {
    temp_dir const folder;
    auto const socket = (folder / "s.sock").string();
    running_server server;
    server.apply(socket);
    SECTION("a device") {
        server.present.hang = "win11: no operation on /dev/win11 has completed for 30 s";
        auto const answer = server.get(socket, "/healthz");
        CHECK_THAT(answer, Contains("503 Service Unavailable"));
        CHECK(body(answer) == server.present.hang + "\n");
    }
    SECTION("the network thread") {
        server.present.silence = network_patience;
        CHECK_THAT(server.get(socket, "/healthz"),
                   Contains("503") && Contains("the network thread has not answered for 5 s"));
    }
}

TEST_CASE("control server: POST /reload reloads, and answers with the outcome; over the socket only") {
    temp_dir const folder;
    auto const socket = (folder / "s.sock").string();
    auto const port = free_port();
    running_server server;
    server.apply(socket, {"127.0.0.1:" + std::to_string(port)});
    CHECK(parse_reload_document(body(server.get(socket, "/reload", "POST"))).value() == reload_outcome{});
    server.reloaded.errors = {"seedbed.toml:1: x: unknown key", "two"};
    auto const refused = server.get(socket, "/reload", "POST");
    CHECK_THAT(refused, Contains("200 OK") && Contains("\"applied\":false"));
    CHECK(parse_reload_document(body(refused)).value() == server.reloaded);
    CHECK(server.reloads == 2);

    CHECK_THAT(server.get(socket, "/reload"), Contains("405 Method Not Allowed"));
    CHECK_THAT(server.get(port, "/reload"), Contains("405 Method Not Allowed"));
    CHECK(server.reloads == 2);
    CHECK_FALSE(parse_reload_document("{}"));
    CHECK_FALSE(parse_reload_document("no"));
}

TEST_CASE("control server: TCP serves metrics and health, and nothing else") {
    running_server server;
    auto const port = free_port();
    auto const address = "127.0.0.1:" + std::to_string(port);
    server.apply("", {address});
    CHECK_THAT(server.get(port, "/metrics"), Contains("200 OK") && Contains("seedbed_healthy 1\n"));
    CHECK_THAT(server.get(port, "/healthz"), Contains("200 OK"));
    CHECK_THAT(server.get(port, "/status"), Contains("404 Not Found"));

    // Unchanged addresses are left alone, and addresses that are no longer named are closed.
    server.apply("", {address});
    CHECK_THAT(server.get(port, "/healthz"), Contains("200 OK"));
    server.apply("", {});
    CHECK_THROWS(server.get(port, "/healthz"));

    // A port that is in use is retried.
    asio::io_context context;
    std::optional<asio::ip::tcp::acceptor> taken;
    taken.emplace(context, asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), port});
    server.apply("", {address});
    taken.reset();
    CHECK_THROWS(server.get(port, "/healthz"));
    server.apply("", {address});
    CHECK_THAT(server.get(port, "/healthz"), Contains("200 OK"));
}

TEST_CASE("control server: the socket is created, moved and removed") {
    temp_dir const folder;
    auto const first = (folder / "run" / "s.sock").string(); // a missing folder is created
    auto const second = (folder / "t.sock").string();
    running_server server;
    server.apply(first);
    struct ::stat found {};
    REQUIRE(::stat(first.c_str(), &found) == 0);
    CHECK(S_ISSOCK(found.st_mode));
    CHECK((found.st_mode & 07777) == 0660);
    CHECK(body(server.get(first, "/healthz")) == "ok\n");

    server.apply(second);
    CHECK_FALSE(std::filesystem::exists(first));
    CHECK(body(server.get(second, "/healthz")) == "ok\n");

    server.apply("");
    CHECK_FALSE(std::filesystem::exists(second));
}

TEST_CASE("control server: an unavailable socket stops nothing, and is retried") {
    temp_dir const folder;
    auto const socket = (folder / "s.sock").string();
    running_server other;
    other.apply(socket);
    running_server server;
    SECTION("another daemon has it") {
        server.apply(socket);
        CHECK(body(other.get(socket, "/healthz")) == "ok\n");
        other.apply("");
        server.apply(socket);
        CHECK(body(server.get(socket, "/healthz")) == "ok\n");
    }
    SECTION("its folder is missing, and the one above") {
        server.apply((folder / "a" / "b" / "s.sock").string());
        CHECK_FALSE(std::filesystem::exists(folder / "a"));
    }
    SECTION("another file has its path") {
        auto const file = folder / "file";
        std::ofstream(file) << "mine";
        server.apply(file.string());
        CHECK(std::filesystem::file_size(file) == 4);
    }
}
