#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "core/foundation/error.hpp"

namespace seedbed {

/// How a program ended.
struct program_end {
    int status = 0; ///< exit status; 128 plus the signal's number if a signal ended it, as in a shell
    /// The last non-empty line of its errors, or of its output if it printed no errors, printable; or empty. The order
    /// of both is unknown: a program may keep its output back until its end.
    std::string last_line;
};

/// Runs a program to its end, without a shell, in the "C" locale, with \p input as its standard input.
///
/// \param path of the program, from find_program(). The error is one line: it could not be started or awaited. Threads:
/// any; blocks until the program ends.
[[nodiscard]] result<program_end> run_to_end(std::string const& path, std::vector<std::string> const& arguments,
                                             std::string const& input = {});

/// The descriptors that a program gets as its standard input, output and errors. The caller owns them.
struct program_files {
    int in = -1;
    int out = -1;
    int err = -1;
};

/// Starts a program as run_to_end() does; the caller awaits its end with waitpid(2).
[[nodiscard]] result<::pid_t> start_program(std::string const& path, std::vector<std::string> const& arguments,
                                            program_files const& files);
/// Waits for the end of a program. \param path for the error. \return the exit status as in program_end.
[[nodiscard]] result<int> await_program(::pid_t pid, std::string const& path);
/// The last non-empty line of a program's output, printable.
[[nodiscard]] std::string last_line_of(std::string_view output);

} // namespace seedbed
