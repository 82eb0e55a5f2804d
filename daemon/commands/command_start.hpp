#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "daemon/commands/command_help.hpp"
#include "daemon/service/exit_code.hpp"

namespace boost::program_options {
class options_description;
class positional_options_description;
} // namespace boost::program_options

namespace seedbed {

/// The configuration of the daemon if --config is not given; it need not exist.
inline constexpr char const* default_config = "/etc/seedbed/seedbed.toml";

/// Stores the arguments of a subcommand in the variables bound to \p options, which include the switch --help. Options
/// must be written in full: an abbreviation could mean a different option in a later version. With --help nothing is
/// stored.
/// \return whether to run the command; false if help was requested. The error is one line. For a misspelled option it
/// suggests one of the options that have a description.
[[nodiscard]] result<bool> take_arguments(std::vector<std::string> const& arguments,
                                          boost::program_options::options_description const& options,
                                          boost::program_options::positional_options_description const& positional);

/// The same for a command without positional arguments.
[[nodiscard]] result<bool> take_arguments(std::vector<std::string> const& arguments,
                                          boost::program_options::options_description const& options);

/// The size of the pool in bytes without a configuration file: a quarter of the free memory, but at most the default. A
/// small machine may run from memory without swap; this leaves it enough for everything else. \param free see
/// free_memory().
[[nodiscard]] std::int64_t pool_without_config(std::optional<std::int64_t> free);

/// The settings of a configuration file, or the defaults for this machine if \p file is empty. Prints the errors of the
/// file, and then returns nothing. \param required see load_settings().
[[nodiscard]] std::optional<settings> settings_from(std::string const& file, bool required = true);

/// " (did you mean 'deploy'?)", or nothing if \p word resembles none of \p known.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::vector<std::string> const& known);

/// Must be called after printing: flushes standard output. \param command for the error message; empty for the program
/// itself.
/// \return \p code; exit_failed, after an error message, if the output could not be written.
[[nodiscard]] int end_output(std::string_view command, int code);

/// Prints the help on standard output.
[[nodiscard]] int show_help(command_help const& help);

/// The error of an option whose value is invalid.
[[nodiscard]] tl::unexpected<error> bad_option(std::string message);

/// Prints \p message on standard error, after the command's name. \return \p code.
exit_code fail(std::string_view command, exit_code code, std::string_view message);

/// The same for a bad command line: the message ends by naming the help. \return exit_usage.
exit_code fail_usage(std::string_view command, std::string_view message);

} // namespace seedbed
