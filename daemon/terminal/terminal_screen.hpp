#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <termios.h>

#include "daemon/terminal/styled_line.hpp"

namespace seedbed {

/// The size of a terminal, in characters.
struct terminal_size {
    std::size_t width = 80;
    std::size_t height = 24;
};

/// The size of the terminal on standard output, 80x24 if the terminal does not report one; nothing if standard output
/// is not a terminal.
[[nodiscard]] std::optional<terminal_size> standard_output_size();

/// Whether the terminal understands the sequences of terminal_screen.
[[nodiscard]] bool knows_sequences();
/// Whether to use colours: the environment variable NO_COLOR is unset or empty (https://no-color.org), and TERM does
/// not name a monochrome terminal.
[[nodiscard]] bool wants_colours();

/// The whole terminal on standard output. Uses the alternate screen, so that the previous contents reappear. Keys
/// are not echoed, can be read one by one (keyboard), and are discarded at the end; signals from the keyboard work as
/// usual.
///
/// Threads: one. draw() reports failures to write.
class terminal_screen {
public:
    /// \param colours false: all lines are plain.
    explicit terminal_screen(bool colours)
        : m_colours(colours) {
        enter();
    }
    terminal_screen(terminal_screen const&) = delete;
    terminal_screen& operator=(terminal_screen const&) = delete;
    ~terminal_screen() { leave(); }

    void enter();
    /// Restores the terminal. Also call it before the process is stopped (SIGSTOP).
    void leave();

    /// Draws these lines, none longer than \p size allows, over the old ones, without flicker. \return whether they
    /// could be written.
    [[nodiscard]] bool draw(std::vector<styled_line> const& lines, terminal_size size) const;
    /// Clears the screen. Call it after a change of size, when the position of old lines is unknown.
    void clear();

private:
    bool const m_colours;
    bool m_entered = false;
    std::optional<termios> m_keyboard; ///< the terminal settings before enter()
};

} // namespace seedbed
