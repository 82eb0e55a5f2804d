#include "daemon/service/node.hpp"

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "support/endpoints.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

settings small_settings() {
    settings wanted;
    wanted.network.listen = {{test::addresses({"127.0.0.1"}).front(), 0}};
    wanted.network.local_discovery = false;
    wanted.memory.pool = 16 << 20;
    wanted.hashing.threads = 2;
    return wanted;
}

} // namespace

TEST_CASE("a node reports each signal until it is shut down") {
    test::temp_dir const folder;
    node daemon(small_settings(), folder.path().string(), [] {});
    daemon.signals().add(SIGUSR1);
    std::vector<int> arrived;
    auto ended = false;
    daemon.wait_for_signals([&](int number) {
        arrived.push_back(number);
        if (arrived.size() == 1) {
            std::raise(SIGUSR1);
            return;
        }
        daemon.shut_down([&ended] { ended = true; });
    });
    std::raise(SIGUSR1);
    daemon.main().run_for(20s);
    CHECK(daemon.main().stopped());
    CHECK(ended);
    CHECK(arrived == std::vector<int>{SIGUSR1, SIGUSR1});
}

TEST_CASE("a signal that arrives while the session ends does not keep the node running") {
    test::temp_dir const folder;
    node daemon(small_settings(), folder.path().string(), [] {});
    daemon.signals().add(SIGUSR1);
    daemon.wait_for_signals([](int) {});
    // The loop sees the signal after the first of these and delivers it after the second one; the end of the session
    // falls in between.
    boost::asio::post(daemon.main(), [&daemon] {
        std::raise(SIGUSR1);
        boost::asio::post(daemon.main(), [&daemon] {
            daemon.shut_down([] {});
            while (daemon.setup().current_progress().pending > 0) {
            }
        });
    });
    daemon.main().run_for(20s);
    CHECK(daemon.main().stopped());
}
