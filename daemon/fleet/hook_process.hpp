#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// A program started by hook_runner.
struct spawned_process {
    pid_t pid = -1;
    unique_fd exited;       ///< its pidfd (pidfd_open(2)): readable when it has ended
    unique_fd errors;       ///< the reading end of the pipe for its standard error
    std::string unconfined; ///< why it can open disks; empty if it cannot
};

/// Starts \p command, an absolute path and arguments, in a process group of its own. Its standard input is a file in
/// memory with the content \p input. It inherits no other descriptors, no blocked or ignored signals, and the
/// environment without the variables that the service manager has set for this process only. It cannot open disks,
/// whatever this process may do with them, unless the kernel lacks Landlock.
[[nodiscard]] result<spawned_process> spawn_hook(std::vector<std::string> const& command, std::string const& input);

/// Keeps the last non-empty line, made printable and truncated to 512 characters.
class last_line {
public:
    void add(std::string_view text);
    [[nodiscard]] std::string take();

private:
    void keep();

    std::string m_current;
    std::string m_last;
};

} // namespace seedbed
