#pragma once

#include <string>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// How a program ended.
struct program_end {
    int status = 0;        ///< exit status; 128 plus the signal's number if a signal ended it, as in a shell
    std::string last_line; ///< of its output and its errors that is not empty, printable; empty if it printed none
};

/// Runs a program to its end, without a shell, in the "C" locale, with \p input as its standard input.
///
/// \param path of the program, from find_program(). The error is one line: it could not be started or awaited. Threads:
/// any; blocks until the program ends.
[[nodiscard]] result<program_end> run_to_end(std::string const& path, std::vector<std::string> const& arguments,
                                             std::string const& input = {});

} // namespace seedbed
