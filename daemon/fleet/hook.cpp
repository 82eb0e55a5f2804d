#include "daemon/fleet/hook.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/error.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto kill_delay = 5s; ///< between SIGTERM and SIGKILL
constexpr std::size_t longest_line = 512;

/// What the service manager tells one process and no other.
constexpr std::array<std::string_view, 6> private_variables{
    "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID=", "JOURNAL_STREAM="};

/// A file in memory that holds \p text and is read from its beginning: a pipe would have to be filled as it is emptied.
result<unique_fd> memory_file(std::string const& text) {
    unique_fd file(::memfd_create("seedbed-hook", MFD_CLOEXEC));
    if (!file) {
        return tl::unexpected(errno_error("memfd_create", errno));
    }
    if (!write_all(file.get(), text)) {
        return tl::unexpected(errno_error("standard input", errno));
    }
    if (::lseek(file.get(), 0, SEEK_SET) != 0) {
        return tl::unexpected(errno_error("standard input", errno));
    }
    return file;
}

/// posix_spawn(3)'s attributes and actions, which are to be destroyed.
class spawn_options {
public:
    /// \return errno, or 0.
    int prepare(int input, int errors) {
        sigset_t none;
        sigset_t all;
        ::sigemptyset(&none);
        ::sigfillset(&all);
        constexpr short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        for (int const code :
             {::posix_spawnattr_setflags(&m_attributes, flags), ::posix_spawnattr_setpgroup(&m_attributes, 0),
              ::posix_spawnattr_setsigmask(&m_attributes, &none), ::posix_spawnattr_setsigdefault(&m_attributes, &all),
              ::posix_spawn_file_actions_adddup2(&m_actions, input, STDIN_FILENO),
              ::posix_spawn_file_actions_addopen(&m_actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0),
              ::posix_spawn_file_actions_adddup2(&m_actions, errors, STDERR_FILENO),
              // libtorrent's and Asio's sockets are not closed by exec.
              ::posix_spawn_file_actions_addclosefrom_np(&m_actions, STDERR_FILENO + 1)}) {
            if (code != 0) {
                return code;
            }
        }
        return 0;
    }

    spawn_options() {
        ::posix_spawnattr_init(&m_attributes);
        ::posix_spawn_file_actions_init(&m_actions);
    }
    spawn_options(spawn_options const&) = delete;
    spawn_options& operator=(spawn_options const&) = delete;
    ~spawn_options() {
        ::posix_spawnattr_destroy(&m_attributes);
        ::posix_spawn_file_actions_destroy(&m_actions);
    }

    [[nodiscard]] posix_spawnattr_t const* attributes() const { return &m_attributes; }
    [[nodiscard]] posix_spawn_file_actions_t const* actions() const { return &m_actions; }

private:
    posix_spawnattr_t m_attributes{};
    posix_spawn_file_actions_t m_actions{};
};

/// \return the process id, or why there is none.
result<pid_t> spawn(std::vector<std::string> const& command, int input, int errors) {
    std::vector<char*> arguments;
    for (auto const& each : command) {
        arguments.push_back(const_cast<char*>(each.c_str())); // posix_spawn(3) writes to none of them
    }
    arguments.push_back(nullptr);
    std::vector<char*> environment;
    for (auto** at = environ; *at != nullptr; ++at) {
        std::string_view const variable(*at);
        auto const is_private = [&](std::string_view name) { return variable.starts_with(name); };
        if (std::none_of(private_variables.begin(), private_variables.end(), is_private)) {
            environment.push_back(*at);
        }
    }
    environment.push_back(nullptr);
    spawn_options options;
    pid_t child = -1;
    auto code = options.prepare(input, errors);
    if (code == 0) {
        code = ::posix_spawn(&child, arguments.front(), options.actions(), options.attributes(), arguments.data(),
                             environment.data());
    }
    if (code != 0) {
        return tl::unexpected(errno_error(command.front(), code));
    }
    return child;
}

/// pidfd_open(2), close-on-exec: the header that declares it has no C linkage in glibc 2.36.
int open_pidfd(pid_t process) {
    return static_cast<int>(::syscall(SYS_pidfd_open, process, 0U));
}

/// Keeps the last line that is not empty of what comes by and by.
class last_line {
public:
    void add(std::string_view text) {
        for (auto const c : text) {
            if (c == '\n') {
                keep();
            } else if (m_current.size() < longest_line) {
                m_current += c >= ' ' && c <= '~' ? c : '?';
            }
        }
    }
    [[nodiscard]] std::string take() {
        keep();
        return std::move(m_last);
    }

private:
    void keep() {
        if (m_current.find_first_not_of(' ') != std::string::npos) {
            m_last = m_current;
        }
        m_current.clear();
    }

    std::string m_current;
    std::string m_last;
};

} // namespace

std::string hook_outcome::text() const {
    if (!failure.empty()) {
        return "not started: " + failure;
    }
    if (!unknown.empty()) {
        return "how it ended is not known: " + unknown;
    }
    auto const* const what = signal != 0 ? "ended by signal" : "exit status";
    return fmt::format("{} {}{} after {:.1f} s{}{}", what, signal != 0 ? signal : exit_status,
                       timed_out ? ", for it took too long," : "", std::chrono::duration<double>(taken).count(),
                       last_line.empty() ? "" : ": ", last_line);
}

struct hook_runner::process : std::enable_shared_from_this<hook_runner::process> {
    explicit process(asio::io_context& context)
        : exited(context)
        , errors(context)
        , timer(context) {}

    void wait_for_exit() {
        exited.async_wait(asio::posix::descriptor_base::wait_read, [self = shared_from_this()](error_code const& ec) {
            if (!ec) {
                self->on_exit();
            }
        });
    }

    void read_errors() {
        errors.async_read_some(asio::buffer(buffer),
                               [self = shared_from_this()](error_code const& ec, std::size_t bytes) {
                                   if (!ec) {
                                       self->line.add({self->buffer.data(), bytes});
                                       self->read_errors();
                                   }
                               });
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

    /// While it has not been waited for, its number is nobody else's, and neither is its group's.
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
        // What it left behind in the pipe; whoever has inherited its other end may keep it.
        error_code ec;
        errors.non_blocking(true, ec);
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
        error_code ignored; // nothing more is expected of them
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
    auto const document = memory_file(input);
    if (!document) {
        refuse(document.error().message);
        return;
    }
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        refuse(errno_error("pipe", errno).message);
        return;
    }
    unique_fd reading(ends[0]);
    unique_fd writing(ends[1]);
    auto const child = spawn(command, document->get(), writing.get());
    if (!child) {
        refuse(child.error().message);
        return;
    }
    writing.reset();
    auto const started = std::make_shared<process>(m_context);
    started->pid = *child;
    unique_fd watched(open_pidfd(*child));
    if (!watched) {
        auto const code = errno;
        started->kill_group(SIGKILL);
        static_cast<void>(::waitpid(*child, nullptr, 0)); // killed: at once
        refuse(errno_error("pidfd_open", code).message);
        return;
    }
    error_code ec;
    started->exited.assign(watched.get(), ec);
    if (!ec) {
        static_cast<void>(watched.release());
        started->errors.assign(reading.get(), ec);
    }
    if (ec) {
        started->kill_group(SIGKILL);
        static_cast<void>(::waitpid(*child, nullptr, 0)); // killed: at once
        refuse("waiting for it: " + ec.message());
        return;
    }
    static_cast<void>(reading.release());
    started->ended = [this, weak = std::weak_ptr(started), ended](hook_outcome const& outcome) {
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
