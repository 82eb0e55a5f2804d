#include "core/layout/program_run.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/foundation/printable.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// The end of the output that is kept, bytes.
constexpr std::size_t kept_output = 4096;

/// The environment of the child: ours, in the "C" locale.
std::vector<std::string> child_environment() {
    std::vector<std::string> all{"LC_ALL=C"};
    for (char** entry = ::environ; *entry != nullptr; ++entry) {
        if (std::strncmp(*entry, "LC_ALL=", 7) != 0) {
            all.emplace_back(*entry);
        }
    }
    return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    pointers.reserve(texts.size() + 1);
    for (auto& text : texts) {
        pointers.push_back(text.data());
    }
    pointers.push_back(nullptr);
    return pointers;
}

/// A file in memory with \p input, at its start. errno says why it is empty.
unique_fd input_file(std::string const& input) {
    unique_fd fd(::memfd_create("input", MFD_CLOEXEC));
    if (fd && (::pwrite(fd.get(), input.data(), input.size(), 0) != static_cast<ssize_t>(input.size()))) {
        fd.reset();
    }
    return fd;
}

/// What a program prints, through a pipe.
struct output_pipe {
    unique_fd from;
    unique_fd to;
    std::string kept; ///< the end of the output

    /// \return false, with errno, if the system has no more descriptors.
    [[nodiscard]] bool open() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
            return false;
        }
        from.reset(ends[0]);
        to.reset(ends[1]);
        return true;
    }
    /// Takes some of what is there; ends the pipe once the last writer has closed its end. Blocks if nothing is there.
    void read() {
        std::array<char, 4096> buffer{};
        auto const got = ::read(from.get(), buffer.data(), buffer.size());
        if (got > 0) {
            kept.append(buffer.data(), static_cast<std::size_t>(got));
            kept.erase(0, kept.size() - std::min(kept.size(), kept_output));
        } else if (got == 0 || errno != EINTR) { // an error loses output, not the exit status
            from.reset();
        }
    }
};

/// The descriptor of a process that becomes readable when it ends; empty if the kernel has none.
unique_fd end_of(::pid_t pid) {
    // <sys/pidfd.h> of glibc 2.36 has no C++ linkage.
    return unique_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// Reads until both pipes have ended, or the program has: a process that it has left behind may keep them open. A pipe
/// that cannot be read is closed, so that no program waits for this one.
void read_both(output_pipe& first, output_pipe& second, ::pid_t pid) {
    constexpr int most_reads_after_end = 64; // a pipe holds 64 KiB
    auto const ended = end_of(pid);
    int reads_after_end = 0;
    for (;;) {
        // poll() skips a descriptor of -1.
        std::array<::pollfd, 3> events{
            {{first.from.get(), POLLIN, 0}, {second.from.get(), POLLIN, 0}, {ended.get(), POLLIN, 0}}};
        auto const ready = first.from || second.from ? ::poll(events.data(), events.size(), -1) : 0;
        if (ready < 0 && (errno == EINTR || errno == EAGAIN)) {
            continue;
        }
        if (ready <= 0) {
            break;
        }
        if (events[0].revents != 0) {
            first.read();
        }
        if (events[1].revents != 0) {
            second.read();
        }
        if (events[2].revents != 0 &&
            (++reads_after_end > most_reads_after_end || (events[0].revents == 0 && events[1].revents == 0))) {
            break; // all of its output has been read
        }
    }
    first.from.reset();
    second.from.reset();
}

} // namespace

result<::pid_t> start_program(std::string const& path, std::vector<std::string> const& arguments,
                              program_files const& files) {
    std::vector<std::string> words{path};
    words.insert(words.end(), arguments.begin(), arguments.end());
    auto environment = child_environment();
    ::posix_spawn_file_actions_t actions;
    if (int const code = ::posix_spawn_file_actions_init(&actions); code != 0) {
        return tl::unexpected(errno_error(path, code));
    }
    ::pid_t pid = 0;
    int code = ::posix_spawn_file_actions_adddup2(&actions, files.in, STDIN_FILENO);
    code = code != 0 ? code : ::posix_spawn_file_actions_adddup2(&actions, files.out, STDOUT_FILENO);
    code = code != 0 ? code : ::posix_spawn_file_actions_adddup2(&actions, files.err, STDERR_FILENO);
    code = code != 0 ? code
                     : ::posix_spawn(&pid, path.c_str(), &actions, nullptr, pointers_to(words).data(),
                                     pointers_to(environment).data());
    int const freed = ::posix_spawn_file_actions_destroy(&actions);
    if (code != 0 || freed != 0) {
        return tl::unexpected(errno_error(path, code != 0 ? code : freed));
    }
    return pid;
}

result<int> await_program(::pid_t pid, std::string const& path) {
    int status = 0;
    while (::waitpid(pid, &status, 0) != pid) {
        if (errno != EINTR) {
            return tl::unexpected(errno_error(path, errno));
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Progress bars end their lines with CR or backspaces.
std::string last_line_of(std::string_view output) {
    std::string last;
    while (!output.empty()) {
        auto const end = std::min(output.find_first_of("\n\r\b"), output.size());
        auto const line = output.substr(0, end);
        if (line.find_first_not_of(" \t") != std::string_view::npos) {
            last = printable(line.substr(line.find_first_not_of(" \t")));
        }
        output.remove_prefix(std::min(end + 1, output.size()));
    }
    return last;
}

result<program_end> run_to_end(std::string const& path, std::vector<std::string> const& arguments,
                               std::string const& input) {
    auto const file = input_file(input);
    output_pipe output;
    output_pipe errors;
    if (!file || !output.open() || !errors.open()) {
        return tl::unexpected(errno_error(path, errno));
    }
    auto const pid = start_program(path, arguments, {file.get(), output.to.get(), errors.to.get()});
    if (!pid) {
        return tl::unexpected(pid.error());
    }
    output.to.reset();
    errors.to.reset();
    read_both(output, errors, *pid);
    auto const status = await_program(*pid, path);
    if (!status) {
        return tl::unexpected(status.error());
    }
    auto line = last_line_of(errors.kept);
    return program_end{*status, line.empty() ? last_line_of(output.kept) : line};
}

} // namespace seedbed
