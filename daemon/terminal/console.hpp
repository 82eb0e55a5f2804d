#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "daemon/image/image_status.hpp"
#include "daemon/terminal/progress.hpp"

namespace seedbed {

/// What a command that runs in the foreground shows on standard error: the log's lines, and below them how far it is.
///
/// Threads: any.
class console {
public:
    explicit console(progress_output output = standard_error_output());
    console(console const&) = delete;
    console& operator=(console const&) = delete;
    /// The log goes on to standard error, as before start_log().
    ~console();

    /// The log's lines come here from now on: above the progress, with the level in front where it is one to notice.
    void start_log(log_level level);
    /// Shows a deployment's state: each is a phase of its own.
    void show(image_status const& status);
    /// Shows how many of the bytes have been read.
    void show_reading(std::string const& what, std::int64_t done, std::int64_t total);
    /// A line of its own, above the progress.
    void print(std::string_view line);
    /// The same; it counts as an error.
    void print_error(std::string_view line);
    /// Takes the progress away.
    void clear();

    /// What the log and print_error() called errors, without "failed: " and the like being cut.
    [[nodiscard]] std::vector<std::string> errors() const;

private:
    void begin_locked(std::string const& phase);
    void on_log(log_level level, std::string_view line);

    mutable std::mutex m_mutex; ///< guards all that follows
    progress_display m_progress;
    std::string m_phase;
    std::vector<std::string> m_errors;
};

} // namespace seedbed
