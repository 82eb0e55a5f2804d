#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace seedbed {

/// The outcome of a hook.
struct hook_outcome {
    std::string failure;    ///< why the program could not be started; empty if it was
    std::string unknown;    ///< why its exit status is unknown; empty if it is known
    int exit_status = 0;    ///< if it exited
    int signal = 0;         ///< that killed it, or 0
    bool timed_out = false; ///< it was killed at the end of its time limit
    std::string last_line;  ///< of its standard error, made printable; empty if it wrote nothing
    std::string unconfined; ///< why it could open disks; empty if it could not
    std::chrono::milliseconds taken{0};

    [[nodiscard]] bool ok() const noexcept {
        return failure.empty() && unknown.empty() && exit_status == 0 && signal == 0;
    }
    /// For example "exit status 1 after 0.2s: no such printer".
    [[nodiscard]] std::string text() const;
};

/// Runs the administrator's programs: without a shell, with a document on their standard input, each in its own process
/// group, for a limited time. Their standard output is discarded; the last line of their standard error is kept.
/// spawn_hook() states what they inherit.
///
/// Threads: confined to the one that runs the io_context, which is never blocked: the end of a program is awaited
/// through its pidfd (pidfd_open(2)), without SIGCHLD, which other code may use.
class hook_runner {
public:
    explicit hook_runner(boost::asio::io_context& context);
    hook_runner(hook_runner const&) = delete;
    hook_runner& operator=(hook_runner const&) = delete;
    /// Kills programs that are still running (SIGKILL).
    ~hook_runner();

    /// \param command an absolute path and arguments. \param timeout after which the process group gets SIGTERM, and
    /// SIGKILL 5 s later. \param ended called once, never from within run().
    void run(std::vector<std::string> const& command, std::string const& input, std::chrono::milliseconds timeout,
             std::function<void(hook_outcome const&)> ended);

    /// Ends running programs as if their time were up.
    void stop();

    [[nodiscard]] std::size_t running() const noexcept;

private:
    struct process;
    boost::asio::io_context& m_context;
    std::vector<std::shared_ptr<process>> m_processes;
};

} // namespace seedbed
