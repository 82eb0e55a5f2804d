#include "daemon/fleet/report_sender.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "daemon/http/http_server.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/log/logging.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using boost::asio::ip::tcp;
using clock_type = std::chrono::steady_clock;
using lines = std::vector<std::string>;

namespace {

auto const served = info_hash::from_hex("00112233445566778899aabbccddeeff00112233").value();

/// Attempts take as long as they need: a stop of this process is not a failure.
report_timing quick() {
    return {.attempt = 1min, .last = 1min, .first_pause = 20ms, .repetition = 80ms};
}

/// A Seedbed server that accepts reports and responds with a status of the test's choice.
class report_server {
public:
    struct received {
        http_request request;
        clock_type::time_point at;
    };

    report_server(boost::asio::io_context& context, std::string const& address, std::uint16_t port = 0)
        : m_server(context, [this](http_request const& request) {
            requests.push_back({request, clock_type::now()});
            return http_response{status, "text/plain", "noted\n"};
        }) {
        auto const opened = m_server.listen_tcp(address, port);
        m_port = opened ? *opened : 0;
    }

    /// 0 if this machine does not have the address.
    [[nodiscard]] std::uint16_t port() const { return m_port; }
    [[nodiscard]] std::string value(std::size_t index, std::string const& key) const {
        auto const query = query_string::parse(requests.at(index).request.target);
        return query ? std::string(query->find(key).value_or("missing")) : "no query";
    }
    std::vector<received> requests;
    int status = 200;

private:
    std::uint16_t m_port = 0;
    http_server m_server;
};

/// A port on which no program listens.
std::uint16_t closed_port() {
    boost::asio::io_context context;
    return tcp::acceptor(context, {boost::asio::ip::make_address("127.0.0.1"), 0}).local_endpoint().port();
}

std::string announce_url(std::string const& host, std::uint16_t port) {
    return "http://" + host + ":" + std::to_string(port) + "/announce";
}

struct fixture {
    boost::asio::io_context context{1};
    /// Resolving a name is not work of the context.
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
    std::vector<std::string> listeners;
    lines logged; ///< warnings and above
    std::optional<report_sender> sender;

    fixture()
        : fixture(quick()) {}
    explicit fixture(report_timing const& timing) {
        start_logging(log_level::warning, [this](log_level, std::string_view line) { logged.emplace_back(line); });
        sender.emplace(
            context, [this] { return test::endpoints(listeners); }, timing);
    }
    fixture(fixture const&) = delete;
    fixture& operator=(fixture const&) = delete;
    ~fixture() { start_logging(log_level::info); }

    void send(std::vector<std::string> const& urls,
              host_report::outcome_kind outcome = host_report::outcome_kind::verified,
              std::vector<tcp::endpoint> const& peers = {}) {
        host_report report;
        report.outcome = outcome;
        sender->send("sda1", served, urls, peers, report);
    }
    template <class Condition>
    bool await(Condition reached) {
        auto const end = clock_type::now() + 20s;
        while (!reached() && clock_type::now() < end && !context.stopped()) {
            context.run_one_until(end);
        }
        return reached();
    }
};

} // namespace

TEST_CASE("report sender: a report has the outcome, its age, and the port on which this daemon listens") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    f.listeners = {"[::1]:7001", "127.0.0.9:7000"};
    host_report report;
    report.outcome = host_report::outcome_kind::failed;
    report.reason = "write /dev/sda: EIO";
    report.taken = 3s;
    report.bytes = 12;
    f.sender->send("sda1", served, {announce_url("127.0.0.1", server.port())}, {}, report);
    REQUIRE(f.await([&] { return !server.requests.empty(); }));
    CHECK(server.requests[0].request.target.starts_with("/report?info_hash="));
    CHECK(server.requests[0].request.peer_address == "127.0.0.9");
    CHECK(server.value(0, "info_hash") == served.bytes());
    CHECK(server.value(0, "port") == "7000");
    CHECK(server.value(0, "state") == "failed");
    CHECK(server.value(0, "reason") == "write /dev/sda: EIO");
    CHECK(server.value(0, "taken") == "3000");
    CHECK(server.value(0, "bytes") == "12");
    CHECK(std::stoi(server.value(0, "age")) < 10'000);
}

TEST_CASE("report sender: without a listener of the server's address family the port is 0") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    f.listeners = {"[::1]:7001"};
    f.send({announce_url("127.0.0.1", server.port())});
    REQUIRE(f.await([&] { return !server.requests.empty(); }));
    CHECK(server.value(0, "port") == "0");
}

TEST_CASE("report sender: each HTTP tracker and each peer gets the report once, even if it is named several times") {
    fixture f({.attempt = 1min, .last = 1min, .first_pause = 1h, .repetition = 1h});
    report_server tracker(f.context, "127.0.0.1");
    report_server peer(f.context, "127.0.0.1");
    auto const url = announce_url("127.0.0.1", tracker.port());
    tcp::endpoint const of_peer(boost::asio::ip::make_address("127.0.0.1"), peer.port());
    tcp::endpoint const of_tracker(boost::asio::ip::make_address("127.0.0.1"), tracker.port());
    f.send({url, url, "udp://127.0.0.1:1/announce", "https://127.0.0.1/announce", "http://127.0.0.1/other"},
           host_report::outcome_kind::durable, {of_peer, of_tracker});
    REQUIRE(f.await([&] { return !tracker.requests.empty() && !peer.requests.empty(); }));
    f.context.run_for(50ms);
    CHECK(tracker.requests.size() == 1);
    CHECK(peer.requests.size() == 1);
    CHECK(peer.value(0, "state") == "durable");
    CHECK(f.logged.empty());
}

TEST_CASE("report sender: a failed delivery is retried with growing pauses, and logged once") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    server.status = 404;
    f.send({announce_url("127.0.0.1", server.port())});
    // 20 ms at first, then doubled, at most 80 ms. Doubled without a limit, the last pause would be 40 s.
    REQUIRE(f.await([&] { return server.requests.size() == 13; }));
    auto const pause = [&](std::size_t index) { return server.requests[index + 1].at - server.requests[index].at; };
    CHECK(pause(0) >= 20ms);
    CHECK(pause(1) >= 40ms);
    CHECK(pause(2) >= 80ms);
    CHECK(pause(11) >= 80ms);
    CHECK(f.logged == lines{"sda1: cannot report \"verified\" to 127.0.0.1:" + std::to_string(server.port()) +
                            ": HTTP status 404; retrying"});
}

TEST_CASE("report sender: a server of an earlier version, which refuses the report of a start, is not a warning") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    server.status = 400;
    f.send({announce_url("127.0.0.1", server.port())}, host_report::outcome_kind::started);
    REQUIRE(f.await([&] { return server.requests.size() == 3; }));
    CHECK(server.value(0, "state") == "started");
    server.status = 200;
    f.send({announce_url("127.0.0.1", server.port())}); // replaces it
    REQUIRE(f.await([&] { return server.value(server.requests.size() - 1, "state") == "verified"; }));
    auto const before = server.requests.size();
    REQUIRE(f.await([&] { return server.requests.size() == before + 3; }));
    CHECK(server.value(before + 2, "state") == "verified");
    CHECK(f.logged.empty());
}

TEST_CASE("report sender: a server whose requests must be short gets the report without its receipt") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    server.status = 431;
    host_report report;
    report.outcome = host_report::outcome_kind::verified;
    report.receipt = "eJw";
    f.sender->send("sda1", served, {announce_url("127.0.0.1", server.port())}, {}, report);
    REQUIRE(f.await([&] { return server.requests.size() == 1; }));
    server.status = 200;
    REQUIRE(f.await([&] { return server.requests.size() == 2; }));
    CHECK(server.requests[0].request.target.find("&receipt=") != std::string::npos);
    CHECK(server.requests[1].request.target.find("&receipt=") == std::string::npos);
    CHECK(server.value(1, "state") == "verified");
    CHECK(f.logged.empty());
}

TEST_CASE("report sender: a peer that is added gets the report, and the others do not get it again") {
    fixture f(report_timing{});
    report_server tracker(f.context, "127.0.0.1");
    report_server peer(f.context, "127.0.0.1");
    tcp::endpoint const at(boost::asio::ip::make_address("127.0.0.1"), peer.port());
    f.sender->add_peer("sda1", at); // there is no report
    f.send({announce_url("127.0.0.1", tracker.port())}, host_report::outcome_kind::started);
    REQUIRE(f.await([&] { return tracker.requests.size() == 1; }));
    CHECK(peer.requests.empty());
    f.sender->add_peer("sda1", at);
    f.sender->add_peer("sda1", at); // again
    f.sender->add_peer("sdb1", at); // no image of this name
    REQUIRE(f.await([&] { return !peer.requests.empty(); }));
    CHECK(peer.value(0, "state") == "started");
    f.send({announce_url("127.0.0.1", tracker.port())}, host_report::outcome_kind::verified, {at});
    REQUIRE(f.await([&] { return tracker.requests.size() == 2 && peer.requests.size() == 2; }));
    CHECK(tracker.value(1, "state") == "verified");
    CHECK(peer.value(1, "state") == "verified");
}

TEST_CASE("report sender: a server that starts later gets the report, with its age") {
    fixture f;
    auto const port = closed_port();
    f.send({announce_url("127.0.0.1", port)});
    REQUIRE(f.await([&] { return !f.logged.empty(); }));
    CHECK(f.logged.front() ==
          "sda1: cannot report \"verified\" to 127.0.0.1:" + std::to_string(port) + ": Connection refused; retrying");
    f.context.run_for(50ms);
    report_server server(f.context, "127.0.0.1", port);
    REQUIRE(server.port() == port);
    REQUIRE(f.await([&] { return !server.requests.empty(); }));
    CHECK(std::stoi(server.value(0, "age")) >= 50);
}

TEST_CASE("report sender: a delivered report is repeated, and a later failure is not logged") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    f.send({announce_url("127.0.0.1", server.port())});
    REQUIRE(f.await([&] { return server.requests.size() == 1; }));
    server.status = 500;
    REQUIRE(f.await([&] { return server.requests.size() == 3; }));
    CHECK(server.requests[1].at - server.requests[0].at >= 80ms);
    CHECK(std::stoi(server.value(1, "age")) >= 80);
    CHECK(f.logged.empty());
}

TEST_CASE("report sender: a new report replaces the image's earlier one") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    auto const url = announce_url("127.0.0.1", server.port());
    f.send({url}, host_report::outcome_kind::failed);
    REQUIRE(f.await([&] { return server.requests.size() == 1; }));
    f.send({url}, host_report::outcome_kind::verified);
    REQUIRE(f.await([&] { return server.requests.size() == 4; }));
    CHECK(server.value(0, "state") == "failed");
    for (std::size_t i = 1; i < server.requests.size(); ++i) {
        CHECK(server.value(i, "state") == "verified");
    }
}

TEST_CASE("report sender: a forgotten report is not repeated") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    f.send({announce_url("127.0.0.1", server.port())});
    REQUIRE(f.await([&] { return server.requests.size() == 2; }));
    f.sender->forget("other");
    REQUIRE(f.await([&] { return server.requests.size() == 3; }));
    f.sender->forget("sda1");
    f.context.run_for(200ms);
    CHECK(server.requests.size() == 3);
}

TEST_CASE("report sender: a report that is forgotten during delivery still arrives") {
    fixture f;
    report_server server(f.context, "127.0.0.1");
    f.send({announce_url("127.0.0.1", server.port())});
    f.sender.reset();
    CHECK(f.await([&] { return server.requests.size() == 1; }));
    f.context.run_for(200ms);
    CHECK(server.requests.size() == 1);
}

TEST_CASE("report sender: an attempt ends soon after its report is forgotten") {
    fixture f({.attempt = 1h, .last = 100ms, .first_pause = 1h, .repetition = 1h});
    // Accepts connections and never answers.
    tcp::acceptor silent(f.context, {boost::asio::ip::make_address("127.0.0.1"), 0});
    auto const port = silent.local_endpoint().port();
    std::optional<tcp::socket> accepted;
    silent.async_accept([&](boost::system::error_code const& ec, tcp::socket socket) {
        if (!ec) {
            accepted.emplace(std::move(socket));
        }
    });
    f.send({announce_url("127.0.0.1", port)});
    REQUIRE(f.await([&] { return accepted.has_value(); }));
    f.sender->forget("sda1");
    f.work.reset();
    f.context.run_for(20s); // returns when no work is left
    CHECK(f.context.stopped());
    CHECK(f.logged ==
          lines{"sda1: cannot report \"verified\" to 127.0.0.1:" + std::to_string(port) + ": no answer within 0.1s"});
}

TEST_CASE("report sender: the tracker of another program gets one request") {
    fixture f;
    tcp::acceptor other(f.context, {boost::asio::ip::make_address("127.0.0.1"), 0});
    int asked = 0;
    std::string const answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    std::optional<tcp::socket> client;
    auto const accept = [&](auto const& again) -> void {
        other.async_accept([&, again](boost::system::error_code const& ec, tcp::socket socket) {
            if (ec) {
                return;
            }
            ++asked;
            client.emplace(std::move(socket));
            boost::system::error_code ignored; // the test waits for the end of the exchange, not for this
            client->write_some(boost::asio::buffer(answer), ignored);
            again(again);
        });
    };
    accept(accept);
    f.send({announce_url("127.0.0.1", other.local_endpoint().port())});
    REQUIRE(f.await([&] { return asked == 1; }));
    f.context.run_for(300ms); // several pauses and repetitions
    CHECK(asked == 1);
    CHECK(f.logged.empty());
}

TEST_CASE("report sender: a name is resolved, and each of its addresses is tried") {
    fixture f;
    report_server server(f.context, "127.0.0.1"); // "localhost" may be ::1 first
    f.send({announce_url("localhost", server.port())});
    CHECK(f.await([&] { return !server.requests.empty(); }));
    CHECK(f.logged.empty());
}

TEST_CASE("report sender: a name that does not resolve is logged") {
    fixture f;
    f.send({"http://name.invalid:6969/announce"}); // RFC 6761: never resolves
    REQUIRE(f.await([&] { return !f.logged.empty(); }));
    CHECK_THAT(f.logged.front(), Catch::StartsWith("sda1: cannot report \"verified\" to name.invalid:6969: "));
}

TEST_CASE("report sender: IPv6 servers, by URL and by endpoint") {
    fixture f;
    report_server tracker(f.context, "::1");
    report_server peer(f.context, "::1");
    if (tracker.port() == 0 || peer.port() == 0) {
        WARN("this machine has no IPv6");
        return;
    }
    f.listeners = {"127.0.0.9:7000", "[::1]:7001"};
    f.send({announce_url("[::1]", tracker.port())}, host_report::outcome_kind::verified,
           {tcp::endpoint(boost::asio::ip::make_address("::1"), peer.port())});
    REQUIRE(f.await([&] { return !tracker.requests.empty() && !peer.requests.empty(); }));
    CHECK(tracker.value(0, "port") == "7001");
    CHECK(peer.value(0, "port") == "7001");
    CHECK(tracker.requests[0].request.peer_address == "::1");
}

TEST_CASE("report sender: the name of an IPv6 server has brackets") {
    fixture f;
    f.send({}, host_report::outcome_kind::verified,
           {tcp::endpoint(boost::asio::ip::make_address("::1"), closed_port())});
    REQUIRE(f.await([&] { return !f.logged.empty(); }));
    CHECK_THAT(f.logged.front(), Catch::StartsWith("sda1: cannot report \"verified\" to [::1]:"));
}
