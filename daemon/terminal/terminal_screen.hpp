#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <termios.h>

namespace seedbed {

/// What fits a terminal, in characters.
struct terminal_size {
    std::size_t width = 80;
    std::size_t height = 24;
};

/// The size of the terminal that standard output is; that of a VT100 where it does not know its own, nothing where it
/// is none.
[[nodiscard]] std::optional<terminal_size> standard_output_size();

/// The whole of the terminal that standard output is: its second screen, where it has one, so that what stood there
/// before comes back. What is typed is not shown, and is thrown away at the end; signals of the keyboard come as ever.
///
/// Threads: one. Failures to write are those of standard output, and are told by draw().
class terminal_screen {
public:
    terminal_screen() { enter(); }
    terminal_screen(terminal_screen const&) = delete;
    terminal_screen& operator=(terminal_screen const&) = delete;
    ~terminal_screen() { leave(); }

    void enter();
    /// Leaves the terminal as it was. To be called before the process stops, too.
    void leave();

    /// Shows these lines, none of them longer than \p size says, over what stands there: nothing flickers. \return
    /// whether they could be written.
    [[nodiscard]] bool draw(std::vector<std::string> const& lines, terminal_size size);
    /// Wipes it, since after a change of its size nobody knows what stands where.
    void clear();

private:
    bool m_entered = false;
    std::optional<termios> m_keyboard; ///< as it was
};

} // namespace seedbed
