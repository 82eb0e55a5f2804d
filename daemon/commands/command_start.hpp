#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "daemon/commands/command_help.hpp"
#include "daemon/service/exit_code.hpp"

namespace boost::program_options {
class options_description;
class positional_options_description;
} // namespace boost::program_options

namespace seedbed {

/// Takes what a subcommand was given into the variables that \p options name. Options are to be written out: an
/// abbreviation could mean another one in a later version. Nothing is taken where --help is among them, which
/// \p options have as a switch.
/// \return whether there is something to do: false where help was asked for. The error is one line.
[[nodiscard]] result<bool> take_arguments(std::vector<std::string> const& arguments,
                                          boost::program_options::options_description const& options,
                                          boost::program_options::positional_options_description const& positional);

/// Of a command without positional arguments.
[[nodiscard]] result<bool> take_arguments(std::vector<std::string> const& arguments,
                                          boost::program_options::options_description const& options);

/// To be called when all is printed: what standard output did not take is no success.
/// \return \p code, or exit_failed, which it then tells.
[[nodiscard]] int end_output(std::string_view command, int code);

/// Prints the help on standard output.
[[nodiscard]] int show_help(command_help const& help);

/// Says on standard error, in a line that begins with the command's name, why it ends with \p code.
exit_code fail(std::string_view command, exit_code code, std::string_view message);

/// The same for a command line that is wrong; the line ends with where its help is to be found.
exit_code fail_usage(std::string_view command, std::string_view message);

} // namespace seedbed
