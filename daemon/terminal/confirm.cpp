#include "daemon/terminal/confirm.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <iostream>

#include <unistd.h>

namespace seedbed {

namespace {

/// During its lifetime, a signal that would end the program interrupts read() instead.
class interruptible_read {
public:
    interruptible_read() {
        struct ::sigaction action = {};
        action.sa_handler = [](int) {};
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            static_cast<void>(::sigaction(numbers[i], &action, &m_before[i])); // cannot fail: the numbers are valid
        }
    }
    interruptible_read(interruptible_read const&) = delete;
    interruptible_read& operator=(interruptible_read const&) = delete;
    ~interruptible_read() {
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            static_cast<void>(::sigaction(numbers[i], &m_before[i], nullptr));
        }
    }

private:
    static constexpr std::array numbers{SIGINT, SIGTERM, SIGHUP};
    std::array<struct ::sigaction, numbers.size()> m_before{};
};

/// Reads a line of standard input without its newline; empty if input ends or a signal arrives first.
std::string read_line() {
    std::string line;
    char c = 0;
    while (line.size() < 64 && ::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') {
        line += c;
    }
    return c == '\n' ? line : "";
}

} // namespace

result<bool> confirm(std::string const& question) {
    if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDERR_FILENO) != 1) {
        return tl::unexpected(error{"not a terminal; pass --yes to confirm"});
    }
    std::cerr << question << std::flush;
    interruptible_read const while_asking;
    auto const answer = read_line();
    if (answer.empty()) {
        std::cerr << '\n';
    }
    return answer == "yes";
}

} // namespace seedbed
