#include "daemon/fleet/hook.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <sys/wait.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/error.hpp"
#include "daemon/fleet/hook_process.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto kill_delay = 5s; ///< between SIGTERM and SIGKILL

} // namespace

std::string hook_outcome::text() const {
    if (!failure.empty()) {
        return "not started: " + failure;
    }
    if (!unknown.empty()) {
        return "exit status unknown: " + unknown;
    }
    auto const* const what = signal != 0 ? "killed by signal" : "exit status";
    return fmt::format("{}{} {} after {}{}{}", timed_out ? "timed out: " : "", what, signal != 0 ? signal : exit_status,
                       format_duration(taken), last_line.empty() ? "" : ": ", last_line);
}

struct hook_runner::process : std::enable_shared_from_this<hook_runner::process> {
    explicit process(asio::io_context& context)
        : exited(context)
        , errors(context)
        , timer(context) {}

    /// Takes ownership of the descriptors.
    error_code watch(spawned_process& spawned) {
        error_code ec;
        exited.assign(spawned.exited.get(), ec);
        if (!ec) {
            static_cast<void>(spawned.exited.release());
            errors.assign(spawned.errors.get(), ec);
        }
        if (!ec) {
            static_cast<void>(spawned.errors.release());
            errors.non_blocking(true, ec);
        }
        return ec;
    }

    void wait_for_exit() {
        exited.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](error_code const& ec) {
            if (!ec) {
                self->on_exit();
            }
        });
    }

    /// Waits before it reads: bytes that a pending operation had read when the process ended would be lost.
    void read_errors() {
        errors.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](error_code const& ec) {
            if (!ec && self->read_some()) {
                self->read_errors();
            }
        });
    }

    /// \return false at the end of the pipe.
    bool read_some() {
        error_code ec;
        auto const bytes = errors.read_some(asio::buffer(buffer), ec);
        line.add({buffer.data(), bytes});
        return !ec || ec == asio::error::would_block;
    }

    void wait_for_timeout(std::chrono::milliseconds time, int signal_then) {
        timer.expires_after(time);
        timer.async_wait([self = shared_from_this(), signal_then](error_code const& ec) {
            if (!ec) {
                self->end(signal_then);
            }
        });
    }

    void end(int with) {
        outcome.timed_out = true;
        kill_group(with);
        if (with != SIGKILL) {
            wait_for_timeout(kill_delay, SIGKILL);
        }
    }

    /// Until the process has been waited for, no other process or group can get its number.
    void kill_group(int with) const {
        if (pid > 0) {
            static_cast<void>(::kill(-pid, with)); // ESRCH: it has just ended
        }
    }

    void on_exit() {
        siginfo_t how{};
        auto const waited = ::waitid(P_PID, static_cast<id_t>(pid), &how, WEXITED | WNOHANG);
        auto const code = errno;
        if (waited == 0 && how.si_pid == 0) {
            wait_for_exit();
            return;
        }
        pid = -1;
        if (waited != 0) {
            outcome.unknown = errno_error("waitid", code).message;
        } else if (how.si_code == CLD_EXITED) {
            outcome.exit_status = how.si_status;
        } else {
            outcome.signal = how.si_status;
        }
        // Read the rest of the pipe, as far as available: a process that inherited the other end may keep it open.
        error_code ec;
        for (std::size_t bytes = 1; !ec && bytes > 0;) {
            bytes = errors.read_some(asio::buffer(buffer), ec);
            line.add({buffer.data(), bytes});
        }
        finish();
    }

    void finish() {
        outcome.last_line = line.take();
        outcome.taken = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - started);
        close();
        if (ended) {
            std::exchange(ended, nullptr)(outcome);
        }
    }

    void close() {
        error_code ignored; // nothing more is read
        exited.close(ignored);
        errors.close(ignored);
        timer.cancel();
    }

    asio::posix::stream_descriptor exited; ///< the pidfd
    asio::posix::stream_descriptor errors;
    asio::steady_timer timer;
    std::array<char, 4096> buffer{};
    last_line line;
    pid_t pid = -1;
    clock::time_point started = clock::now();
    hook_outcome outcome;
    std::function<void(hook_outcome const&)> ended;
};

hook_runner::hook_runner(asio::io_context& context)
    : m_context(context) {}

hook_runner::~hook_runner() {
    for (auto const& each : m_processes) {
        each->kill_group(SIGKILL);
        each->ended = nullptr;
        each->close();
        if (each->pid > 0) {
            static_cast<void>(::waitpid(each->pid, nullptr, 0)); // killed: at once
        }
    }
}

void hook_runner::run(std::vector<std::string> const& command, std::string const& input,
                      std::chrono::milliseconds timeout, std::function<void(hook_outcome const&)> ended) {
    auto const refuse = [this, ended](std::string reason) {
        hook_outcome outcome;
        outcome.failure = std::move(reason);
        asio::post(m_context, [ended, outcome] { ended(outcome); });
    };
    auto spawned = spawn_hook(command, input);
    if (!spawned) {
        refuse(spawned.error().message);
        return;
    }
    auto const started = std::make_shared<process>(m_context);
    started->pid = spawned->pid;
    started->outcome.unconfined = std::move(spawned->unconfined);
    if (auto const ec = started->watch(*spawned)) {
        started->kill_group(SIGKILL);
        static_cast<void>(::waitpid(spawned->pid, nullptr, 0)); // killed: at once
        refuse("cannot wait for it: " + ec.message());
        return;
    }
    started->ended = [this, weak = std::weak_ptr(started), ended = std::move(ended)](hook_outcome const& outcome) {
        std::erase(m_processes, weak.lock());
        ended(outcome);
    };
    m_processes.push_back(started);
    started->wait_for_timeout(timeout, SIGTERM);
    started->read_errors();
    started->wait_for_exit();
}

void hook_runner::stop() {
    for (auto const& each : m_processes) {
        each->end(SIGTERM);
    }
}

std::size_t hook_runner::running() const noexcept {
    return m_processes.size();
}

} // namespace seedbed
