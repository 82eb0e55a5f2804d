#include "daemon/swarm/accept_pause.hpp"

#include <cerrno>

#include <boost/system/error_code.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("exhaustion: descriptors and memory, not what a client does") {
    auto const code = [](int number) { return boost::system::error_code(number, boost::system::system_category()); };
    CHECK(is_exhaustion(code(EMFILE)));
    CHECK(is_exhaustion(code(ENFILE)));
    CHECK(is_exhaustion(code(ENOMEM)));
    CHECK(is_exhaustion(code(ENOBUFS)));
    CHECK_FALSE(is_exhaustion(code(ECONNABORTED)));
    CHECK_FALSE(is_exhaustion(code(EADDRINUSE)));
    CHECK_FALSE(is_exhaustion({}));
}

TEST_CASE("accept pause: one pause at a time, and one line while it is repeated") {
    accept_pause pause;
    accept_pause::clock::time_point now{1h};
    CHECK(pause.begin());
    CHECK(pause.is_news(now));
    CHECK_FALSE(pause.begin()); // the failures that were on their way
    for (int i = 0; i < 100; ++i) {
        pause.end();
        now += accept_pause::length;
        CHECK(pause.begin());
        CHECK_FALSE(pause.is_news(now));
    }
    now += accept_pause::quiet + 1s;
    CHECK(pause.is_news(now));
}
