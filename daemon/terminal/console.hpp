#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "daemon/image/image_status.hpp"
#include "daemon/terminal/progress.hpp"

namespace seedbed {

/// The output of a foreground command on standard error: log lines, and its progress below them.
///
/// Threads: any.
class console {
public:
    explicit console(progress_output output = standard_error_output());
    console(console const&) = delete;
    console& operator=(console const&) = delete;
    /// Logging goes to standard error again, as before start_log().
    ~console();

    /// Redirects the log here: lines appear above the progress, warnings and errors prefixed with their level.
    void start_log(log_level level);
    /// Shows the state of a deployment; each state is a separate phase.
    void show(image_status const& status);
    /// Shows \p done of \p total bytes of the phase \p what.
    void show_reading(std::string const& what, std::int64_t done, std::int64_t total);
    /// Prints a line above the progress.
    void print(std::string_view line);
    /// The same, and adds the line to errors().
    void print_error(std::string_view line);
    /// Removes the progress.
    void clear();

    /// The errors from the log and print_error(), as printed but without "error: ".
    [[nodiscard]] std::vector<std::string> errors() const;

private:
    void begin_locked(std::string const& phase);
    void on_log(log_level level, std::string_view line);

    mutable std::mutex m_mutex; ///< guards the members below
    progress_display m_progress;
    std::string m_phase;
    std::vector<std::string> m_errors;
};

} // namespace seedbed
