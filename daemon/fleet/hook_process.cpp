#include "daemon/fleet/hook_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/foundation/printable.hpp"
#include "core/foundation/save_file.hpp"
#include "daemon/fleet/device_confinement.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_line = 512;

/// Set by the service manager for this process only.
constexpr std::array<std::string_view, 6> private_variables{
    "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID=", "JOURNAL_STREAM="};

/// A file in memory with the content \p text, positioned at its beginning. A pipe would have to be filled while the
/// program reads it.
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

/// Owns the attributes and file actions of posix_spawn(3).
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
              // The sockets of libtorrent and Asio are not close-on-exec.
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

result<pid_t> spawn(std::vector<std::string> const& command, int input, int errors) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (auto const& each : command) {
        arguments.push_back(const_cast<char*>(each.c_str())); // posix_spawn(3) does not write to them
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

/// pidfd_open(2), close-on-exec. Its declaration in glibc 2.36 has no C linkage.
int open_pidfd(pid_t process) {
    return static_cast<int>(::syscall(SYS_pidfd_open, process, 0U));
}

} // namespace

result<spawned_process> spawn_hook(std::vector<std::string> const& command, std::string const& input) {
    auto const document = memory_file(input);
    if (!document) {
        return tl::unexpected(document.error());
    }
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return tl::unexpected(errno_error("pipe", errno));
    }
    spawned_process started;
    started.errors.reset(ends[0]);
    unique_fd const writing(ends[1]);
    result<pid_t> child = -1;
    // The child inherits the confinement of the thread that starts it, and that of this one must not change.
    std::thread confined([&] {
        if (auto const denied = deny_device_nodes_to_this_thread(); !denied) {
            started.unconfined = denied.error().message;
        }
        child = spawn(command, document->get(), writing.get());
    });
    confined.join();
    if (!child) {
        return tl::unexpected(child.error());
    }
    started.pid = *child;
    started.exited.reset(open_pidfd(*child));
    if (!started.exited) {
        auto const code = errno;
        static_cast<void>(::kill(-*child, SIGKILL));      // ESRCH: it has just ended
        static_cast<void>(::waitpid(*child, nullptr, 0)); // killed: at once
        return tl::unexpected(errno_error("pidfd_open", code));
    }
    return started;
}

void last_line::add(std::string_view text) {
    for (auto const c : text) {
        if (c == '\n') {
            keep();
        } else if (m_current.size() < longest_line) {
            m_current += c;
        }
    }
}

std::string last_line::take() {
    keep();
    return std::move(m_last);
}

void last_line::keep() {
    if (m_current.find_first_not_of(' ') != std::string::npos) {
        m_last = printable(m_current);
    }
    m_current.clear();
}

} // namespace seedbed
