#pragma once

#include <atomic>

namespace seedbed {

/// While it lives, the first SIGINT, SIGTERM or SIGHUP sets a flag instead of ending the program, so that a command can
/// clean up; a second one of the same kind ends it as ever. One at a time.
///
/// Threads: to be made and destroyed where no other thread changes how signals are handled; requested() from any.
class stop_signals {
public:
    stop_signals();
    stop_signals(stop_signals const&) = delete;
    stop_signals& operator=(stop_signals const&) = delete;
    ~stop_signals();

    [[nodiscard]] std::atomic<bool> const& requested() const noexcept;
    /// Ends the process by the signal that has come, as its parent expects of one that was interrupted: a shell then
    /// stops its script. Only where requested().
    [[noreturn]] void end_process() const;
};

} // namespace seedbed
