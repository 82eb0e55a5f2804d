#include "daemon/terminal/terminal_screen.hpp"

#include <cerrno>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

namespace seedbed {

namespace {

// ECMA-48 and DEC's private modes, which every terminal in use supports: the alternate screen (1049), the cursor (25)
// and automatic wrapping (7).
constexpr std::string_view enter_sequence = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr std::string_view leave_sequence = "\x1b[?7h\x1b[?25h\x1b[?1049l";
constexpr std::string_view clear_sequence = "\x1b[2J";
constexpr std::string_view home = "\x1b[H";
constexpr std::string_view erase_line = "\x1b[K";
constexpr std::string_view erase_below = "\x1b[J";

bool write_all(std::string_view text) {
    while (!text.empty()) {
        auto const count = ::write(STDOUT_FILENO, text.data(), text.size());
        if (count < 0 && errno != EINTR) {
            return false;
        }
        text.remove_prefix(count > 0 ? static_cast<std::size_t>(count) : 0);
    }
    return true;
}

} // namespace

std::optional<terminal_size> standard_output_size() {
    if (::isatty(STDOUT_FILENO) != 1) {
        return std::nullopt;
    }
    terminal_size size;
    winsize told{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &told) == 0 && told.ws_col > 0 && told.ws_row > 0) {
        size = {told.ws_col, told.ws_row};
    }
    return size;
}

void terminal_screen::enter() {
    termios present{};
    if (::tcgetattr(STDIN_FILENO, &present) == 0) { // standard input may not be a terminal
        auto silent = present;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
        if (::tcsetattr(STDIN_FILENO, TCSANOW, &silent) == 0) {
            m_keyboard = present;
        }
    }
    m_entered = true;
    static_cast<void>(write_all(enter_sequence)); // draw() reports a failure
}

void terminal_screen::leave() {
    if (!m_entered) {
        return;
    }
    m_entered = false;
    static_cast<void>(write_all(leave_sequence)); // a terminal that is gone needs no restoring
    if (m_keyboard) {
        static_cast<void>(::tcsetattr(STDIN_FILENO, TCSAFLUSH, &*m_keyboard));
        m_keyboard.reset();
    }
}

bool terminal_screen::draw(std::vector<std::string> const& lines, terminal_size size) {
    std::string frame(home);
    std::size_t row = 0;
    for (auto const& line : lines) {
        frame += row > 0 ? "\r\n" : "";
        frame += line;
        if (line.size() < size.width) { // after a full line the cursor is on its last character
            frame += erase_line;
        }
        ++row;
    }
    if (row < size.height) {
        frame += row > 0 ? "\r\n" : "";
        frame += erase_below;
    }
    return write_all(frame);
}

void terminal_screen::clear() {
    static_cast<void>(write_all(clear_sequence)); // draw() reports a failure
}

} // namespace seedbed
