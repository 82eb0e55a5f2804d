#include "daemon/terminal/terminal_screen.hpp"

#include <cerrno>
#include <cstdlib>
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
constexpr std::string_view normal_style = "\x1b[m";
constexpr std::string_view home = "\x1b[H";
constexpr std::string_view erase_line = "\x1b[K";
constexpr std::string_view erase_below = "\x1b[J";

/// Select graphic rendition. The colours are those of the terminal's palette, which its user has chosen.
std::string_view sequence_of(line_style style) {
    switch (style) {
    case line_style::heading:
        return "\x1b[1m"; // bold
    case line_style::bad:
        return "\x1b[31m"; // red
    case line_style::warning:
        return "\x1b[33m"; // yellow
    case line_style::good:
        return "\x1b[32m"; // green
    case line_style::plain:
        break;
    }
    return {};
}

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

bool knows_sequences() {
    auto const* const term = std::getenv("TERM");
    return term != nullptr && *term != '\0' && std::string_view(term) != "dumb";
}

bool wants_colours() {
    auto const* const unwanted = std::getenv("NO_COLOR");
    auto const* const named = std::getenv("TERM");
    std::string_view const term = named == nullptr ? "" : named;
    return (unwanted == nullptr || *unwanted == '\0') && knows_sequences() && !term.starts_with("vt") &&
           !term.ends_with("-m") && !term.ends_with("-mono");
}

void terminal_screen::enter() {
    termios present{};
    if (::tcgetattr(STDIN_FILENO, &present) == 0) { // standard input may not be a terminal
        auto silent = present;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
        silent.c_cc[VMIN] = 1;
        silent.c_cc[VTIME] = 0;
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

bool terminal_screen::draw(std::vector<styled_line> const& lines, terminal_size size) const {
    std::string frame(home);
    std::size_t row = 0;
    for (auto const& line : lines) {
        frame += row > 0 ? "\r\n" : "";
        auto const style = m_colours ? sequence_of(line.style) : std::string_view();
        frame += style;
        frame += line.text;
        frame += style.empty() ? std::string_view() : normal_style;
        if (line.text.size() < size.width) { // after a full line the cursor is on its last character
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
