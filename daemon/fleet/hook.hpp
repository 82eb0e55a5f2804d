#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace seedbed {

/// How a hook has ended.
struct hook_outcome {
    std::string failure;    ///< why it could not be started; empty where it was
    std::string unknown;    ///< why it is not known how it ended; empty where it is
    int exit_status = 0;    ///< where it ended by itself
    int signal = 0;         ///< the one that ended it, or 0
    bool timed_out = false; ///< it was ended since it took too long
    std::string last_line;  ///< of its standard error, made printable; empty where it wrote nothing
    std::chrono::milliseconds taken{0};

    [[nodiscard]] bool ok() const noexcept {
        return failure.empty() && unknown.empty() && exit_status == 0 && signal == 0;
    }
    /// For example "exit status 1 after 0.2 s: no such printer".
    [[nodiscard]] std::string text() const;
};

/// Runs programs of the administrator's: without a shell, with a document on their standard input, in a process group
/// of their own, for a limited time. They have the daemon's environment but for what the service manager told the
/// daemon alone, no descriptor of it, no signal blocked or ignored, and nowhere to write but standard error, of which
/// the last line is kept.
///
/// Threads: confined to the one that runs the io_context. Nothing waits for a program; each is waited for by its pidfd
/// (pidfd_open(2)), so that no SIGCHLD is needed or taken from anybody else.
class hook_runner {
public:
    explicit hook_runner(boost::asio::io_context& context);
    hook_runner(hook_runner const&) = delete;
    hook_runner& operator=(hook_runner const&) = delete;
    /// Ends what runs with SIGKILL.
    ~hook_runner();

    /// \param command an absolute path and arguments. \param timeout after which its process group gets SIGTERM, and 5
    /// s later SIGKILL. \param ended called once, never from here.
    void run(std::vector<std::string> const& command, std::string const& input, std::chrono::milliseconds timeout,
             std::function<void(hook_outcome const&)> ended);

    /// Ends what runs as if its time were up.
    void stop();

    [[nodiscard]] std::size_t running() const noexcept;

private:
    struct process;
    boost::asio::io_context& m_context;
    std::vector<std::shared_ptr<process>> m_processes;
};

} // namespace seedbed
