#include "daemon/terminal/confirm.hpp"

#include <array>
#include <csignal>
#include <cstddef>
#include <iostream>

#include <poll.h>
#include <unistd.h>

namespace seedbed {

namespace {

/// During its lifetime, a signal that would end the program ends read_line() instead, even if it came before the call.
class interruptible_input {
public:
    interruptible_input() {
        sigset_t blocked;
        ::sigemptyset(&blocked);
        for (auto const number : numbers) {
            ::sigaddset(&blocked, number);
        }
        // Nothing here and in the destructor can fail: the arguments are valid.
        static_cast<void>(::pthread_sigmask(SIG_BLOCK, &blocked, &m_mask));
        m_waiting = m_mask;
        struct ::sigaction action = {};
        action.sa_handler = [](int) {};
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            static_cast<void>(::sigaction(numbers[i], &action, &m_before[i]));
            ::sigdelset(&m_waiting, numbers[i]);
        }
    }
    interruptible_input(interruptible_input const&) = delete;
    interruptible_input& operator=(interruptible_input const&) = delete;
    ~interruptible_input() {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            static_cast<void>(::sigaction(numbers[i], &m_before[i], nullptr));
        }
        static_cast<void>(::pthread_sigmask(SIG_SETMASK, &m_mask, nullptr));
    }

    /// \return a line of standard input without its newline; empty if input ends or a signal arrives first.
    [[nodiscard]] std::string read_line() const {
        std::string line;
        pollfd input{STDIN_FILENO, POLLIN, 0};
        char c = 0;
        // Only ppoll() lets the signals through.
        while (line.size() < 64 && ::ppoll(&input, 1, nullptr, &m_waiting) == 1 && ::read(STDIN_FILENO, &c, 1) == 1 &&
               c != '\n') {
            line += c;
        }
        return c == '\n' ? line : "";
    }

private:
    static constexpr std::array numbers{SIGINT, SIGTERM, SIGHUP};
    std::array<struct ::sigaction, numbers.size()> m_before{};
    sigset_t m_mask{};    ///< before
    sigset_t m_waiting{}; ///< while it waits
};

} // namespace

result<bool> confirm(std::string const& question) {
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
        return tl::unexpected(error{"not a terminal; pass --yes to confirm"});
    }
    interruptible_input const input;
    std::cerr << question << std::flush;
    auto const answer = input.read_line();
    if (answer.empty()) {
        std::cerr << '\n';
    }
    return answer == "yes";
}

} // namespace seedbed
