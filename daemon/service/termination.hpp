#pragma once

#include <atomic>

#include <boost/asio/signal_set.hpp>

namespace seedbed {

// The signals that end a program: SIGTERM, SIGINT and SIGHUP. For the daemon, SIGHUP means a reload; it adds its
// signals itself.

/// Blocks them in the calling thread and in the threads that it starts: a signal that arrives before its handler is
/// installed stays pending; it neither ends the process nor is lost. Must be called before other threads run.
void hold_termination_signals() noexcept;
/// Unblocks them in the calling thread, which receives pending ones immediately. The main thread calls it once the
/// handlers are installed.
void release_termination_signals() noexcept;

/// Adds those that are not ignored: a program started with nohup or in a shell's background must survive them.
void add_termination_signals(boost::asio::signal_set& signals);

/// During its lifetime, the first SIGINT, SIGTERM or SIGHUP sets a flag instead of ending the program, so that a
/// command can clean up; a second one of the same kind ends it as usual. Ignored signals stay ignored. Only one object
/// at a time.
///
/// Threads: create and destroy it while no other thread changes the handling of signals; requested() from any.
class termination_flag {
public:
    termination_flag();
    termination_flag(termination_flag const&) = delete;
    termination_flag& operator=(termination_flag const&) = delete;
    ~termination_flag();

    [[nodiscard]] std::atomic<bool> const& requested() const noexcept;
    /// Ends the process with the signal that arrived, as the parent of an interrupted program expects: a shell then
    /// stops its script. Only after requested().
    [[noreturn]] void end_process() const;
};

} // namespace seedbed
