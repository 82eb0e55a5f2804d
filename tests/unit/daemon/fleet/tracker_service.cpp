#include "daemon/fleet/tracker_service.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

#include "daemon/fleet/report_sender.hpp"
#include "daemon/http/shared_secret.hpp"
#include "daemon/log/logging.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

auto const served = info_hash::from_hex("00112233445566778899aabbccddeeff00112233").value();

/// A tracker and a target that reports to it, on one loop.
struct fixture {
    boost::asio::io_context context{1};
    std::vector<std::pair<info_hash, host_report>> reports;
    bool known = true;
    tracker_service service{context,
                            "-SB0100-Own",
                            {[](announcement const&, tracker::clock::duration) {},
                             [this](info_hash const& hash, host_report const& report) {
                                 reports.emplace_back(hash, report);
                                 return known;
                             }}};
    report_sender sender{
        context, [] { return test::endpoints({"127.0.0.9:7000"}); }, {.attempt = 1min, .first_pause = 20ms}};

    std::string listen(std::string const& text) {
        tracker_settings wanted;
        wanted.listen = test::endpoints({text});
        auto const opened = service.apply(wanted, {});
        return opened ? "" : opened.error().message;
    }
    /// Runs until \p count reports have arrived, at most 10 s.
    void await(std::size_t count) {
        auto const end = std::chrono::steady_clock::now() + 10s;
        while (reports.size() < count && std::chrono::steady_clock::now() < end) {
            context.run_one_for(100ms);
        }
    }
};

/// A port that was free just before.
std::string free_port() {
    boost::asio::io_context context;
    http_server server(context, [](http_request const&) { return http_response{}; });
    return std::to_string(server.listen_tcp("127.0.0.1", 0).value());
}

} // namespace

TEST_CASE("report: it is sent to the image's tracker from the target's listening address", "[report]") {
    fixture f;
    auto const port = free_port();
    REQUIRE(f.listen("127.0.0.1:" + port).empty());
    host_report report;
    report.outcome = host_report::outcome_kind::verified;
    report.taken = 3s;
    report.bytes = 12;
    f.sender.send("sda1", served, {"http://127.0.0.1:" + port + "/announce", "udp://127.0.0.1:1/announce"}, {}, report);
    f.await(1);
    REQUIRE(f.reports.size() == 1);
    auto const& [hash, got] = f.reports.front();
    CHECK(hash == served);
    CHECK(got.host.address().to_string() == "127.0.0.9");
    CHECK(got.host.port() == 7000);
    CHECK(got.outcome == host_report::outcome_kind::verified);
    CHECK(got.taken == 3s);
    CHECK(got.bytes == 12);
}

TEST_CASE("report: it is retried until the tracker serves the image", "[report]") {
    fixture f;
    auto const port = free_port();
    f.known = false;
    REQUIRE(f.listen("127.0.0.1:" + port).empty());
    f.sender.send("sda1", served, {"http://127.0.0.1:" + port + "/announce"}, {}, {});
    f.await(1);
    f.known = true;
    f.await(2);
    REQUIRE(f.reports.size() == 2);
    f.context.run_for(50ms);
    CHECK(f.reports.size() == 2);
}

TEST_CASE("report: with a secret, only a report whose sender knows it counts", "[report]") {
    auto const secret = std::make_shared<shared_secret const>(std::string(16, 's'));
    auto const other = std::make_shared<shared_secret const>(std::string(16, 'o'));
    struct parties {
        std::shared_ptr<shared_secret const> server;
        std::shared_ptr<shared_secret const> target;
        bool counts;
    };
    for (auto const& [server, target, counts] :
         {parties{secret, secret, true}, parties{secret, other, false}, parties{secret, nullptr, false},
          parties{nullptr, secret, true}, parties{nullptr, nullptr, true}}) {
        fixture f;
        auto const port = free_port();
        REQUIRE(f.listen("127.0.0.1:" + port).empty());
        f.service.set_secret(server);
        std::vector<std::string> logged;
        start_logging(log_level::debug, [&](log_level, std::string_view line) { logged.emplace_back(line); });
        report_sender sender(
            f.context, [] { return test::endpoints({"127.0.0.9:7000"}); }, {.attempt = 1min, .first_pause = 1h},
            target);
        host_report report;
        report.outcome = host_report::outcome_kind::verified;
        sender.send("sda1", served, {"http://127.0.0.1:" + port + "/announce"}, {}, report);
        auto const end = std::chrono::steady_clock::now() + 10s;
        auto const told = [&logged](std::string const& part) {
            return std::ranges::any_of(logged, [&](auto const& line) { return line.find(part) != std::string::npos; });
        };
        while (!told("reported \"verified\"") && !told("cannot report") && std::chrono::steady_clock::now() < end) {
            f.context.run_one_for(100ms);
        }
        start_logging(log_level::info);
        CHECK(f.reports.size() == (counts ? 1 : 0));
        CHECK(told("the server has a secret, and this machine does not know it") == (!counts && !target));
        CHECK(told("the server refuses this machine's proof") == (!counts && target));
        CHECK(told("refused a report from 127.0.0.9: its sender does not know the secret") == !counts);
    }
}

TEST_CASE("tracker_service: a configured address that is in use is an error; a default one is not",
          "[tracker_service]") {
    fixture f;
    boost::asio::io_context other_context;
    http_server other(other_context, [](http_request const&) { return http_response{}; });
    auto const port = std::to_string(other.listen_tcp("127.0.0.1", 0).value());
    CHECK(f.listen("127.0.0.1:" + port) == "tracker: listen on 127.0.0.1:" + port + ": Address already in use");
    other.close();
    CHECK(f.listen("127.0.0.1:" + port).empty());
    CHECK(f.listen("127.0.0.1:" + port).empty()); // and stays open
    http_server default_taken(other_context, [](http_request const&) { return http_response{}; });
    static_cast<void>(default_taken.listen_tcp("0.0.0.0", 6969)); // or another program has it
    CHECK(f.service.apply({}, {}));
    tracker_settings off;
    off.enabled = false;
    CHECK(f.service.apply(off, {}));
    CHECK(other.listen_tcp("127.0.0.1", 0));
}
