#include "daemon/http/http_server.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "daemon/log/logging.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using Catch::Contains;
using seedbed::test::temp_dir;

namespace {

http_response echo(http_request const& request) {
    if (request.target == "/throw") {
        throw std::runtime_error("thrown by the handler");
    }
    if (request.target == "/parts") {
        auto const shared = std::make_shared<std::string const>("abcdef");
        return {200,
                "text/plain",
                "own,",
                {{"ETag", "\"t\""}},
                {{shared, std::string_view(*shared).substr(3)}, {shared, std::string_view(*shared).substr(0, 2)}}};
    }
    if (request.target == "/fields") {
        return {304,
                "text/plain",
                "",
                {{"ETag", request.host + "|" + request.accept_encoding + "|" + request.range + "|" + request.if_range +
                              "|" + request.if_none_match}}};
    }
    if (request.target == "/missing") {
        return {404, "text/plain", "not here\n"};
    }
    return {200, "text/plain",
            request.method + " " + request.target + " from " + request.peer_address + " at " + request.local_address +
                (request.peer_port != 0 && request.local_port != 0 ? ", ports known" : ", no ports") + request.body};
}

/// A server on its own thread, as the daemon's runs on the main thread.
class running_server {
public:
    template <class Call>
    auto on_thread(Call call) {
        std::packaged_task<std::invoke_result_t<Call, http_server&>()> task([&] { return call(m_server); });
        auto outcome = task.get_future();
        boost::asio::post(m_context, [&task] { task(); });
        return outcome.get();
    }

    explicit running_server(http_limits const& limits = {})
        : m_server(m_context, echo, limits)
        , m_thread([this] { m_context.run(); }) {}
    running_server(running_server const&) = delete;
    running_server& operator=(running_server const&) = delete;
    ~running_server() {
        on_thread([](http_server& server) { server.close(); });
        m_work.reset();
        m_thread.join(); // hangs if close() leaves an operation behind
    }

    std::uint16_t listen(std::string const& address = "127.0.0.1") {
        auto const port = on_thread([&](http_server& server) { return server.listen_tcp(address, 0); });
        REQUIRE(port);
        return *port;
    }

    result<void> listen_unix(std::string const& path, unsigned mode = 0600,
                             std::optional<std::string> const& group = {}) {
        return on_thread([&](http_server& server) { return server.listen_unix(path, mode, group); });
    }

    std::size_t connections() {
        return on_thread([](http_server& server) { return server.connections(); });
    }
    /// A client sees the end of its connection a moment before the server forgets it. \return whether the server has
    /// this number of connections within 20 s.
    bool reaches_connections(std::size_t count) {
        auto const end = std::chrono::steady_clock::now() + 20s;
        while (connections() != count && std::chrono::steady_clock::now() < end) {
        }
        return connections() == count;
    }

private:
    boost::asio::io_context m_context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> m_work{m_context.get_executor()};
    http_server m_server;
    std::thread m_thread;
};

void set_timeout(int fd) {
    timeval const limit{10, 0}; // longer than any wait here
    REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
}

bool connect_to(unique_fd const& fd, std::uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
}

unique_fd connect_tcp(std::uint16_t port, char const* from = "127.0.0.1") {
    unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in own{};
    own.sin_family = AF_INET;
    REQUIRE(::inet_pton(AF_INET, from, &own.sin_addr) == 1);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)) == 0);
    REQUIRE(connect_to(fd, port));
    set_timeout(fd.get());
    return fd;
}

sockaddr_un unix_address(std::string const& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof(address.sun_path));
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

unique_fd connect_unix(std::string const& path) {
    unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    auto const to = unix_address(path);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr const*>(&to), sizeof(to)) == 0);
    set_timeout(fd.get());
    return fd;
}

void send(unique_fd const& fd, std::string const& text) {
    REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

/// Reads until \p until arrives, or to the end if it is empty. Fails if nothing arrives for 10 s.
/// \param run called before each part.
std::string receive(
    unique_fd const& fd, std::string const& until = {}, std::function<void()> const& run = [] {}) {
    std::string all;
    for (;;) {
        run();
        char buffer[4096];
        auto const count = ::recv(fd.get(), buffer, sizeof(buffer), 0);
        if (count < 0 && (errno == ECONNRESET || errno == EPIPE)) {
            return all;
        }
        REQUIRE(count >= 0);
        all.append(buffer, static_cast<std::size_t>(count));
        if (count == 0 || (!until.empty() && all.find(until) != std::string::npos)) {
            return all;
        }
    }
}

/// The same from a server on this thread.
std::string receive_from(boost::asio::io_context& context, unique_fd const& fd, std::string const& until = {}) {
    return receive(fd, until, [&] {
        auto const end = std::chrono::steady_clock::now() + 20s;
        for (pollfd arrived{fd.get(), POLLIN, 0}; ::poll(&arrived, 1, 0) == 0;) {
            REQUIRE(std::chrono::steady_clock::now() < end);
            context.restart();
            context.run_one_for(10ms);
        }
    });
}

std::string ask(unique_fd const& fd, std::string const& request, std::string const& until = {}) {
    send(fd, request);
    return receive(fd, until);
}

std::string get(std::string const& target, std::string const& fields = {}) {
    return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

} // namespace

TEST_CASE("requests are answered over TCP, several on one connection", "[http_server]") {
    running_server server;
    auto const client = connect_tcp(server.listen());
    auto const first = ask(client, get("/a?b=%00"), "known");
    CHECK_THAT(first, Contains("HTTP/1.1 200 OK\r\n") && Contains("Content-Length: ") &&
                          Contains("GET /a?b=%00 from 127.0.0.1 at 127.0.0.1, ports known"));
    CHECK_THAT(ask(client, get("/missing"), "not here"), Contains("HTTP/1.1 404 Not Found"));

    // Both at once, and the second one ends the connection.
    auto const both = ask(client, get("/one") + get("/two", "Connection: close\r\n"));
    CHECK_THAT(both, Contains("GET /one") && Contains("GET /two") && Contains("Connection: close"));
}

TEST_CASE("HTTP/1.0 gets a response, and the connection is closed", "[http_server]") {
    running_server server;
    CHECK_THAT(ask(connect_tcp(server.listen()), "GET /old HTTP/1.0\r\n\r\n"), Contains("GET /old from"));
}

TEST_CASE("HEAD is answered without a body", "[http_server]") {
    running_server server;
    auto const answer = ask(connect_tcp(server.listen()), "HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK_THAT(answer, Contains("200 OK") && Contains("Content-Length: 47") && !Contains("GET /x"));
}

TEST_CASE("a body may have parts, and a response more header fields", "[http_server]") {
    running_server server;
    auto const port = server.listen();
    CHECK_THAT(ask(connect_tcp(port), get("/parts", "Connection: close\r\n")),
               Contains("Content-Length: 9\r\n") && Contains("ETag: \"t\"\r\n") && Contains("\r\n\r\nown,defab"));
    CHECK_THAT(ask(connect_tcp(port), "HEAD /parts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
               Contains("Content-Length: 9\r\n") && !Contains("own"));
}

TEST_CASE("the handler gets the header fields that it may need, and 304 has no body", "[http_server]") {
    running_server server;
    auto const client = connect_tcp(server.listen());
    auto const answer =
        ask(client,
            get("/fields", "Accept-Encoding: a\r\nRange: b\r\nIf-Range: c\r\nIf-None-Match: d\r\n") + get("/missing"),
            "not here");
    CHECK_THAT(answer, Contains(" 304 Not Modified") && Contains("ETag: x|a|b|c|d\r\n"));
    CHECK(answer.find("Content-Length") > answer.find(" 404 "));
}

TEST_CASE("an invalid request is refused with its status, and the connection is closed", "[http_server]") {
    http_limits limits;
    limits.header_bytes = 1024;
    limits.body_bytes = 16;
    running_server server(limits);
    auto const port = server.listen();
    auto const refused = [&](std::string const& request) { return ask(connect_tcp(port), request); };
    CHECK_THAT(refused("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n"),
               Contains(" 405 Method Not Allowed") && Contains("Allow: GET, HEAD\r\n"));
    CHECK_THAT(refused("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"), Contains(" 405 "));
    CHECK_THAT(refused(get("/", "Content-Length: 17\r\n") + std::string(17, 'a')), Contains(" 413 "));
    auto const chunked = get("/", "Transfer-Encoding: chunked\r\n");
    CHECK_THAT(refused(chunked + "20\r\n" + std::string(32, 'a') + "\r\n0\r\n\r\n"), Contains(" 411 "));
    CHECK_THAT(refused(chunked + "0\r\n0\r\n0;x-y\xee\nh\r\n\r\n"), Contains(" 411 "));
    CHECK_THAT(refused(get("/", "Content-Length: 3\r\nConnection: close\r\n") + "abc"),
               Contains(" 200 ") && Contains("abc"));
    CHECK_THAT(refused(get("/" + std::string(2000, 'a'))), Contains(" 431 "));
    CHECK_THAT(refused(get("/" + std::string(500'000, 'a'))), Contains(" 431 ")); // much of it is never read
    CHECK_THAT(refused(get("/", "X: " + std::string(2000, 'a') + "\r\n")), Contains(" 431 "));
    CHECK_THAT(refused("this is no HTTP\r\n\r\n"), Contains(" 400 "));
    CHECK_THAT(refused(get("/throw", "Connection: close\r\n")), Contains(" 500 ") && Contains("internal error"));
    CHECK_THAT(refused(get("/fine", "Connection: close\r\n")), Contains(" 200 "));
}

TEST_CASE("POST is answered only if it is allowed", "[http_server]") {
    http_limits limits;
    limits.post = true;
    limits.body_bytes = 100;
    running_server server(limits);
    CHECK_THAT(ask(connect_tcp(server.listen()),
                   "POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody"),
               Contains("POST /p from") && Contains("knownbody"));
}

TEST_CASE("a client that sends nothing, or too slowly, is disconnected", "[http_server]") {
    http_limits limits;
    limits.idle_timeout = 100ms;
    limits.request_timeout = 300ms;
    running_server server(limits);
    auto const port = server.listen();
    auto const idle = connect_tcp(port);
    CHECK(receive(idle).empty());

    auto const slow = connect_tcp(port);
    send(slow, "GET / HTTP/1.1\r\n");
    // A byte now and then does not extend the timeout.
    int sent = 0;
    while (sent < 500 && ::send(slow.get(), "X", 1, MSG_NOSIGNAL) == 1) {
        ++sent;
        std::this_thread::sleep_for(20ms);
    }
    CHECK(sent < 500);
    CHECK(receive(slow).empty());
    CHECK(server.reaches_connections(0));
}

TEST_CASE("connections are limited: an idle one is closed for a new one", "[http_server]") {
    http_limits limits;
    limits.connections = 2;
    running_server server(limits);
    auto const port = server.listen();
    auto const first = connect_tcp(port);
    auto const second = connect_tcp(port);
    CHECK_THAT(ask(second, get("/"), "known"), Contains("200"));
    CHECK_THAT(ask(first, get("/"), "known"), Contains("200"));
    auto const third = connect_tcp(port);
    CHECK_THAT(ask(third, get("/"), "known"), Contains("200"));
    CHECK(receive(second).empty()); // the one with the oldest request
}

TEST_CASE("slow requests keep no new client out", "[http_server]") {
    http_limits limits;
    limits.connections = 3;
    running_server server(limits);
    auto const port = server.listen();
    std::vector<unique_fd> slow;
    for (int i = 0; i < 3; ++i) {
        slow.push_back(connect_tcp(port));
        send(slow.back(), "GET / HT");
        for (int looks = 0; looks < 3; ++looks) {
            server.connections(); // each call lets the loop look at the sockets
        }
    }
    auto const next = connect_tcp(port);
    CHECK_THAT(ask(next, get("/"), "known"), Contains("200"));
    CHECK(receive(slow[0]).empty()); // the one that began first
    CHECK_THAT(ask(slow[2], "TP/1.1\r\nHost: x\r\n\r\n", "known"), Contains("200"));
    CHECK(server.connections() == 3);
}

TEST_CASE("an address has a share of the connections, and no address keeps others out", "[http_server]") {
    http_limits limits;
    limits.connections = 6;
    limits.per_address = 4;
    running_server server(limits);
    auto const port = server.listen();
    std::vector<unique_fd> greedy;
    for (int i = 0; i < 20; ++i) {
        greedy.push_back(connect_tcp(port, "127.0.0.2"));
        CHECK_THAT(ask(greedy.back(), get("/"), "known"), Contains("200"));
    }
    CHECK(server.connections() == 4);
    auto const first = connect_tcp(port);
    CHECK_THAT(ask(first, get("/"), "known"), Contains("200"));
    auto const second = connect_tcp(port, "127.0.0.3");
    CHECK_THAT(ask(second, get("/"), "known"), Contains("200"));
    auto const third = connect_tcp(port, "127.0.0.4"); // full: one of the address with the most goes
    CHECK_THAT(ask(third, get("/"), "known"), Contains("200"));
    CHECK_THAT(ask(first, get("/"), "known"), Contains("200"));
    CHECK_THAT(ask(second, get("/"), "known"), Contains("200"));
    CHECK(receive(greedy[16]).empty());
}

TEST_CASE("of addresses with as many connections, an idle one makes room for others", "[http_server]") {
    http_limits limits;
    limits.connections = 3;
    running_server server(limits);
    auto const port = server.listen();
    std::vector<unique_fd> idle;
    for (auto const* const address : {"127.0.0.2", "127.0.0.3"}) {
        idle.push_back(connect_tcp(port, address));
        CHECK_THAT(ask(idle.back(), get("/"), "known"), Contains("200"));
    }
    auto const served = connect_tcp(port, "127.0.0.9"); // the last one by its address
    CHECK(::send(served.get(), "GET / HT", 8, MSG_NOSIGNAL) == 8);
    for (int looks = 0; looks < 3; ++looks) {
        server.connections(); // each call lets the loop look at the sockets
    }
    auto const next = connect_tcp(port, "127.0.0.4");
    CHECK_THAT(ask(next, get("/"), "known"), Contains("200"));
    CHECK(receive(idle[0]).empty()); // the least recently active
    CHECK_THAT(ask(served, "TP/1.1\r\nHost: x\r\n\r\n", "known"), Contains("200"));
    CHECK_THAT(ask(idle[1], get("/"), "known"), Contains("200"));
}

TEST_CASE("a client that has reset its connection before it is accepted is not served", "[http_server]") {
    boost::asio::io_context context{1};
    std::vector<std::string> from;
    http_server server(context, [&from](http_request const& request) {
        from.push_back(request.peer_address);
        return http_response{200, "text/plain", "x"};
    });
    auto const port = server.listen_tcp("127.0.0.1", 0);
    REQUIRE(port);
    auto const send_request = [&port](unique_fd const& client) {
        auto const text = get("/");
        REQUIRE(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
    };
    {
        auto const client = connect_tcp(*port); // the server does not run yet
        send_request(client);
        linger const reset{1, 0};
        REQUIRE(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
    }
    auto const client = connect_tcp(*port, "127.0.0.5");
    send_request(client);
    auto const end = std::chrono::steady_clock::now() + 20s;
    while (std::ranges::find(from, "127.0.0.5") == from.end() && std::chrono::steady_clock::now() < end) {
        context.run_one_until(end);
    }
    context.poll();
    CHECK(from == std::vector<std::string>{"127.0.0.5"});
    server.close();
    context.poll();
}

TEST_CASE("idle clients are disconnected sooner while most connections are in use", "[http_server]") {
    http_limits limits;
    limits.connections = 4;
    limits.idle_timeout = 10s; // a fifth of it under load
    running_server server(limits);
    auto const port = server.listen();
    std::vector<unique_fd> idle;
    for (int i = 0; i < 3; ++i) {
        idle.push_back(connect_tcp(port));
        server.connections();
    }
    CHECK(receive(idle[2]).empty());
    CHECK(server.reaches_connections(2)); // it came last: with the same timeout, the others would have ended before
}

TEST_CASE("descriptors that come and go are logged once", "[http_server]") {
    std::mutex mutex;
    std::vector<std::string> lines;
    start_logging(log_level::info, [&](log_level, std::string_view line) {
        std::scoped_lock const lock(mutex);
        lines.emplace_back(line);
    });
    running_server server;
    auto const port = server.listen();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    for (std::size_t i = 1; i <= 3; ++i) {
        unique_fd const client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto const none = rlimit{3, before.rlim_max};
        auto const limited = ::setrlimit(RLIMIT_NOFILE, &none);
        auto const connected = connect_to(client, port);
        for (int looks = 0; looks < 10; ++looks) {
            server.connections(); // each call lets the loop look at the sockets
        }
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
        REQUIRE(limited == 0);
        REQUIRE(connected);
        set_timeout(client.get());
        CHECK_THAT(ask(client, get("/"), "known"), Contains("200"));
    }
    start_logging(log_level::info, [](log_level, std::string_view) {});
    std::scoped_lock const lock(mutex);
    REQUIRE(lines.size() == 1);
    CHECK_THAT(lines[0], Contains("cannot accept connections on 127.0.0.1:") && Contains("Too many open files"));
}

TEST_CASE("an address that is in use or invalid gives one line", "[http_server]") {
    running_server server;
    auto const port = server.listen();
    auto const again = server.on_thread([&](http_server& other) { return other.listen_tcp("127.0.0.1", port); });
    REQUIRE_FALSE(again);
    CHECK(again.error().message == "listen on 127.0.0.1:" + std::to_string(port) + ": Address already in use");
    CHECK_FALSE(server.on_thread([](http_server& other) { return other.listen_tcp("localhost", 1); }));
    CHECK(server.on_thread([&](http_server& other) { return other.listen_tcp("::1", port); })); // IPv6 is separate
}

TEST_CASE("a Unix socket has its mode and is removed with the server", "[http_server]") {
    temp_dir const folder;
    auto const path = (folder / "s.sock").string();
    auto const* const group = ::getgrgid(::geteuid() == 0 ? 1 : ::getegid()); // only root may choose any
    REQUIRE(group != nullptr);
    auto const wanted = group->gr_gid;
    {
        running_server server;
        REQUIRE(server.listen_unix(path, 0640, group->gr_name));
        struct stat found {};
        REQUIRE(::stat(path.c_str(), &found) == 0);
        CHECK((found.st_mode & 07777) == 0640);
        CHECK(found.st_gid == wanted);
        CHECK_THAT(ask(connect_unix(path), get("/u", "Connection: close\r\n")), Contains("GET /u from  at , no ports"));
        CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
    }
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the Unix socket of a dead program is replaced; a live one and a file are not", "[http_server]") {
    temp_dir const folder;
    auto const path = (folder / "s.sock").string();
    {
        unique_fd const dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto const address = unix_address(path);
        REQUIRE(::bind(dead.get(), reinterpret_cast<sockaddr const*>(&address), sizeof(address)) == 0);
        REQUIRE(::listen(dead.get(), 1) == 0);
    }
    REQUIRE(std::filesystem::exists(path));
    running_server server;
    REQUIRE(server.listen_unix(path));
    CHECK_THAT(ask(connect_unix(path), get("/", "Connection: close\r\n")), Contains(" 200 "));

    running_server other;
    auto const refused = other.listen_unix(path);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == path + ": another program is listening on this socket");
    CHECK_THAT(ask(connect_unix(path), get("/", "Connection: close\r\n")), Contains(" 200 "));

    auto const file = (folder / "file").string();
    REQUIRE(unique_fd(::open(file.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
    CHECK(other.listen_unix(file).error().message == file + ": exists and is not a socket");
    CHECK_THAT(other.listen_unix((folder / "g").string(), 0600, "no-such-group").error().message,
               Contains("no-such-group does not exist"));
    CHECK_THAT(other.listen_unix((folder / "none" / "x").string()).error().message, Contains("No such file"));
    CHECK_THAT(other.listen_unix("/" + std::string(200, 'x')).error().message, Contains("at most 107 bytes"));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}

TEST_CASE("a socket that another program has put at the path is kept", "[http_server]") {
    temp_dir const folder;
    auto const path = (folder / "s.sock").string();
    running_server later;
    {
        running_server server;
        REQUIRE(server.listen_unix(path));
        REQUIRE(std::filesystem::remove(path));
        REQUIRE(later.listen_unix(path));
    }
    CHECK_THAT(ask(connect_unix(path), get("/", "Connection: close\r\n")), Contains(" 200 "));
}

TEST_CASE("a response may be given later, even too late", "[http_server]") {
    boost::asio::io_context context{1};
    std::vector<std::pair<std::string, http_server::respond>> asked;
    auto server = std::make_optional<http_server>(
        context,
        [&](http_request const& request, http_server::respond answer) {
            asked.emplace_back(request.target, std::move(answer));
        },
        http_limits{});
    auto const port = server->listen_tcp("127.0.0.1", 0);
    REQUIRE(port);
    auto const first = connect_tcp(*port);
    auto const second = connect_tcp(*port);
    send(first, get("/first"));
    send(second, get("/second", "Connection: close\r\n"));
    while (asked.size() < 2) {
        REQUIRE(context.run_one_for(10s) > 0);
    }
    if (asked[0].first == "/first") {
        std::swap(asked[0], asked[1]);
    }
    // In another order than the requests.
    asked[0].second({200, "text/plain", "to the second\n"});
    CHECK_THAT(receive_from(context, second), Contains("200 OK") && Contains("to the second"));
    SECTION("in time") {
        asked[1].second({404, "text/plain", "to the first\n"});
        CHECK_THAT(receive_from(context, first, "to the first"), Contains("404 Not Found"));
    }
    SECTION("after the server has closed") {
        server->close();
        asked[1].second({200, "text/plain", "late\n"});
        CHECK(receive_from(context, first).empty());
    }
    SECTION("after the server was destroyed") {
        server.reset();
        asked[1].second({200, "text/plain", "late\n"});
        CHECK(receive_from(context, first).empty());
    }
    asked.clear();
    server.reset();
    context.restart();
    context.run(); // ends: no work is left
}
