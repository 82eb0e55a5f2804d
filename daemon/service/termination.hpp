#pragma once

#include <atomic>

#include <boost/asio/signal_set.hpp>

namespace seedbed {

// The signals that end a program: SIGTERM, SIGINT and SIGHUP. To the daemon SIGHUP means a reload; it adds its signals
// itself.

/// Blocks them in the calling thread and in the threads that it starts: one that arrives before its handler is in place
/// stays pending and neither ends the process nor is lost. To be called before other threads run.
void hold_termination_signals() noexcept;
/// Lets them through to the calling thread, pending ones at once. The main thread calls it when their handlers are in
/// place.
void release_termination_signals() noexcept;

/// Adds those that are not ignored: a program that was started with nohup or in a shell's background is to survive
/// them.
void add_termination_signals(boost::asio::signal_set& signals);

/// While it lives, the first SIGINT, SIGTERM or SIGHUP sets a flag instead of ending the program, so that a command can
/// clean up; the second one of the same kind ends it as usual. Ignored signals stay ignored. One at a time.
///
/// Threads: to be made and destroyed while no other thread changes how signals are handled; requested() from any.
class termination_flag {
public:
    termination_flag();
    termination_flag(termination_flag const&) = delete;
    termination_flag& operator=(termination_flag const&) = delete;
    ~termination_flag();

    [[nodiscard]] std::atomic<bool> const& requested() const noexcept;
    /// Ends the process by the signal that arrived, as the parent of an interrupted program expects: a shell then stops
    /// its script. Only after requested().
    [[noreturn]] void end_process() const;
};

} // namespace seedbed
