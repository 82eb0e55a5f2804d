#include "daemon/service/termination.hpp"

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

/// The exit of a child that runs \p body and then exits with status 0.
template <class Body>
int status_of(Body const& body) {
    auto const child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (auto const number : {SIGTERM, SIGINT, SIGHUP}) {
            static_cast<void>(std::signal(number, SIG_DFL)); // Catch2 has handlers for some
        }
        body();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return status;
}

bool ended_by(int status, int signal) {
    return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}

} // namespace

TEST_CASE("a held signal ends the process only when it is released") {
    auto const number = GENERATE(SIGTERM, SIGINT, SIGHUP);
    CHECK(ended_by(status_of([number] { std::raise(number); }), number));
    CHECK(WIFEXITED(status_of([number] {
        hold_termination_signals();
        std::raise(number);
    })));
    CHECK(ended_by(status_of([number] {
                       hold_termination_signals();
                       std::raise(number);
                       release_termination_signals();
                   }),
                   number));
}

TEST_CASE("a signal that arrived before its handler is delivered to it") {
    auto const status = status_of([] {
        hold_termination_signals();
        std::raise(SIGHUP);
        boost::asio::io_context main{1};
        boost::asio::signal_set signals(main, SIGHUP);
        int arrived = 0;
        signals.async_wait([&arrived](auto const&, int number) { arrived = number; });
        release_termination_signals();
        main.run_for(10s);
        ::_exit(arrived == SIGHUP ? 42 : 1);
    });
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 42);
}

TEST_CASE("signals that the parent ignores stay ignored") {
    auto const handled = [](int number) {
        struct ::sigaction present = {};
        return ::sigaction(number, nullptr, &present) == 0 && present.sa_handler != SIG_IGN;
    };
    SECTION("by a set of signals") {
        auto const status = status_of([&handled] {
            static_cast<void>(std::signal(SIGHUP, SIG_IGN));
            boost::asio::io_context main{1};
            boost::asio::signal_set signals(main);
            add_termination_signals(signals);
            ::_exit(!handled(SIGHUP) && handled(SIGTERM) ? 42 : 1);
        });
        CHECK(WEXITSTATUS(status) == 42);
    }
    SECTION("by a flag") {
        auto const status = status_of([] {
            static_cast<void>(std::signal(SIGHUP, SIG_IGN));
            termination_flag const termination;
            std::raise(SIGHUP);
            auto const ignored = !termination.requested();
            std::raise(SIGTERM);
            ::_exit(ignored && termination.requested() ? 42 : 1);
        });
        CHECK(WEXITSTATUS(status) == 42);
    }
}

TEST_CASE("the first signal sets the flag, the second one of its kind ends the process") {
    auto const status = status_of([] {
        termination_flag const termination;
        std::raise(SIGINT);
        if (!termination.requested()) {
            ::_exit(1);
        }
        std::raise(SIGINT);
    });
    CHECK(ended_by(status, SIGINT));
}

TEST_CASE("an interrupted process ends by its signal") {
    auto const status = status_of([] {
        termination_flag const termination;
        std::raise(SIGHUP);
        termination.end_process();
    });
    CHECK(ended_by(status, SIGHUP));
}

TEST_CASE("a flag restores the signals when it is destroyed") {
    auto const status = status_of([] {
        static_cast<void>(std::signal(SIGINT, SIG_IGN));
        { termination_flag const termination; }
        std::raise(SIGINT);
        std::raise(SIGTERM);
    });
    CHECK(ended_by(status, SIGTERM));
}
