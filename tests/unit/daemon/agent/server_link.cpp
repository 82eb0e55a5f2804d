#include "daemon/agent/server_link.hpp"

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "config/settings.hpp"
#include "daemon/fleet/tracker_service.hpp"
#include "daemon/http/http_server.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

/// A port that was free just before.
std::uint16_t unused_port() {
    boost::asio::io_context context;
    http_server server(context, [](http_request const&) { return http_response{}; });
    return server.listen_tcp("127.0.0.1", 0).value();
}

/// A tracker, on a thread of its own, that counts the requests of machines.
class running_tracker {
public:
    running_tracker(std::shared_ptr<shared_secret const> secret, std::uint16_t port) {
        m_service.set_secret(std::move(secret));
        tracker_settings wanted;
        wanted.listen = test::endpoints({"127.0.0.1:" + std::to_string(port)});
        REQUIRE(m_service.apply(wanted, {}));
        m_thread = std::thread([this] { m_context.run(); });
    }
    running_tracker(running_tracker const&) = delete;
    running_tracker& operator=(running_tracker const&) = delete;
    ~running_tracker() {
        m_context.stop();
        m_thread.join();
    }

    std::atomic<int> machines = 0;

private:
    boost::asio::io_context m_context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> m_work{m_context.get_executor()};
    tracker_service m_service{m_context,
                              "-SB0100-Own",
                              {[](auto const&, auto) {}, [](auto const&, auto const&) { return true; },
                               [this](http_request const& request, http_respond const& respond) {
                                   ++machines;
                                   respond({200, "text/plain", request.target});
                               }}};
    std::thread m_thread;
};

} // namespace

TEST_CASE("with a secret, only a machine that knows it is answered") {
    auto const secret = std::make_shared<shared_secret const>("0123456789abcdef");
    auto const other = std::make_shared<shared_secret const>("fedcba9876543210");
    struct parties {
        std::shared_ptr<shared_secret const> server;
        std::shared_ptr<shared_secret const> machine;
        bool accepted;
    };
    for (auto const& [server, machine, accepted] :
         {parties{secret, secret, true}, parties{secret, other, false}, parties{secret, nullptr, false},
          parties{nullptr, secret, true}, parties{nullptr, nullptr, true}}) {
        auto const port = unused_port();
        running_tracker tracker(server, port);
        server_link const link({"127.0.0.1", port}, machine);
        auto const answer = link.ask("/machine/job", "mac=1", 1min);
        REQUIRE(answer);
        CHECK(answer->status == (accepted ? 200 : 403));
        CHECK(tracker.machines == (accepted ? 1 : 0));
        if (accepted) {
            CHECK(answer->body.starts_with("/machine/job?mac=1"));
        }
        // Other paths are not the machines'.
        CHECK(link.get("/machines").value().status == 404);
        CHECK(tracker.machines == (accepted ? 1 : 0));
    }
}

TEST_CASE("an unreachable server is an error with its reason") {
    server_link const link({"127.0.0.1", unused_port()}, nullptr);
    auto const answer = link.ask("/machine/job", "mac=1", 5s);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().message == "Connection refused");
}
