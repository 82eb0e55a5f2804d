#include "daemon/terminal/keyboard.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using kind = pressed_key::kind;
using keys = std::vector<pressed_key>;

namespace {

/// A terminal that delivers each byte at once, and the end from which it is typed.
struct terminal_pair {
    terminal_pair() {
        int user = -1;
        int program = -1;
        REQUIRE(::openpty(&user, &program, nullptr, nullptr, nullptr) == 0);
        typed_at.reset(user);
        terminal.reset(program);
        termios raw{};
        REQUIRE(::tcgetattr(program, &raw) == 0);
        ::cfmakeraw(&raw);
        REQUIRE(::tcsetattr(program, TCSANOW, &raw) == 0);
    }
    void type(std::string_view text) const {
        REQUIRE(::write(typed_at.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }

    unique_fd typed_at;
    unique_fd terminal;
};

/// Runs a keyboard until \p count keys have arrived.
struct running_keyboard {
    boost::asio::io_context context{1};
    keys got;
    std::size_t groups = 0;
    keyboard board{context, [this](keys const& some) {
                       CHECK_FALSE(some.empty());
                       got.insert(got.end(), some.begin(), some.end());
                       ++groups;
                   }};

    void await(std::size_t count) {
        while (got.size() < count) {
            REQUIRE(context.run_one_for(10s) > 0);
        }
    }
};

} // namespace

TEST_CASE("keyboard: keys of a real terminal, which stays in blocking mode") {
    terminal_pair const pair;
    running_keyboard running;
    REQUIRE(running.board.start(pair.terminal.get()));
    pair.type("s");
    running.await(1);
    pair.type("\x1b[B");
    running.await(2);
    pair.type("\x1b");
    running.await(3); // after a pause
    CHECK(running.got == keys{{kind::character, 's'}, {kind::down}, {kind::escape}});
    CHECK((::fcntl(pair.terminal.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("keyboard: pasted text arrives in groups") {
    terminal_pair const pair;
    running_keyboard running;
    REQUIRE(running.board.start(pair.terminal.get()));
    std::string const text(3000, 'x');
    pair.type(text);
    running.await(text.size());
    CHECK(running.got.size() == text.size());
    CHECK(running.groups < 100);
}

TEST_CASE("keyboard: it ends with its terminal") {
    terminal_pair pair;
    running_keyboard running;
    REQUIRE(running.board.start(pair.terminal.get()));
    pair.typed_at.reset();
    running.context.run_for(10s); // returns when nothing is waited for any more
    CHECK(running.context.stopped());
    CHECK(running.got.empty());
}

TEST_CASE("keyboard: a file is not a terminal") {
    running_keyboard running;
    unique_fd const file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    auto const started = running.board.start(file.get());
    REQUIRE_FALSE(started);
    CHECK_THAT(started.error().message, Catch::StartsWith("cannot read keys: epoll: "));
}
