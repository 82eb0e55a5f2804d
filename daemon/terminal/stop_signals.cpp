#include "daemon/terminal/stop_signals.hpp"

#include <array>
#include <csignal>
#include <cstddef>

#include <unistd.h>

namespace seedbed {

namespace {

constexpr std::array numbers{SIGINT, SIGTERM, SIGHUP};

std::array<struct ::sigaction, numbers.size()> before;
std::atomic<int> came{0};
std::atomic<bool> stop{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "a signal handler sets them");

void on_signal(int number) {
    came.store(number);
    stop.store(true);
}

} // namespace

stop_signals::stop_signals() {
    came.store(0);
    stop.store(false);
    struct ::sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        // Cannot fail: the numbers are valid. What was ignored before (nohup) stays ignored.
        static_cast<void>(::sigaction(numbers[i], nullptr, &before[i]));
        if (before[i].sa_handler != SIG_IGN) {
            static_cast<void>(::sigaction(numbers[i], &action, nullptr));
        }
    }
}

stop_signals::~stop_signals() {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        static_cast<void>(::sigaction(numbers[i], &before[i], nullptr));
    }
}

std::atomic<bool> const& stop_signals::requested() const noexcept {
    return stop;
}

void stop_signals::end_process() const {
    auto const number = came.load();
    static_cast<void>(std::signal(number, SIG_DFL));
    static_cast<void>(std::raise(number));
    ::_exit(128 + number); // where it is blocked
}

} // namespace seedbed
