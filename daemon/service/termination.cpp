#include "daemon/service/termination.hpp"

#include <array>
#include <csignal>
#include <cstddef>

#include <unistd.h>

namespace seedbed {

namespace {

constexpr std::array numbers{SIGTERM, SIGINT, SIGHUP};

// Global state of termination_flag, because a signal handler has no object.
std::array<struct ::sigaction, numbers.size()> before;
std::atomic<int> arrived{0};
std::atomic<bool> flag{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free,
              "a signal handler sets them");

void set_flag(int number) {
    arrived.store(number);
    flag.store(true);
}

/// How a signal is handled. Cannot fail, nor can the other calls here: the numbers are valid.
struct ::sigaction action_of(int number) noexcept {
    struct ::sigaction present = {};
    static_cast<void>(::sigaction(number, nullptr, &present));
    return present;
}

void change_mask(int how) noexcept {
    ::sigset_t set;
    static_cast<void>(::sigemptyset(&set));
    for (auto const number : numbers) {
        static_cast<void>(::sigaddset(&set, number));
    }
    static_cast<void>(::pthread_sigmask(how, &set, nullptr));
}

} // namespace

void hold_termination_signals() noexcept {
    change_mask(SIG_BLOCK);
}

void release_termination_signals() noexcept {
    change_mask(SIG_UNBLOCK);
}

void add_termination_signals(boost::asio::signal_set& signals) {
    for (auto const number : numbers) {
        if (action_of(number).sa_handler != SIG_IGN) {
            signals.add(number);
        }
    }
}

termination_flag::termination_flag() {
    arrived.store(0);
    flag.store(false);
    struct ::sigaction action = {};
    action.sa_handler = set_flag;
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        before[i] = action_of(numbers[i]);
        if (before[i].sa_handler != SIG_IGN) {
            static_cast<void>(::sigaction(numbers[i], &action, nullptr));
        }
    }
}

termination_flag::~termination_flag() {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        static_cast<void>(::sigaction(numbers[i], &before[i], nullptr));
    }
}

std::atomic<bool> const& termination_flag::requested() const noexcept {
    return flag;
}

void termination_flag::end_process() const {
    auto const number = arrived.load();
    static_cast<void>(std::signal(number, SIG_DFL));
    static_cast<void>(std::raise(number));
    ::_exit(128 + number); // reached if the signal is blocked
}

} // namespace seedbed
