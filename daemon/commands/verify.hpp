#pragma once

#include <string>
#include <vector>

#include "core/device/file_block_device.hpp"
#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed verify`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int verify_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help verify_help();

/// Prints a warning if \p requirements allow a device that is mounted read-write, and this one is.
void warn_if_mounted(std::string const& path, device_requirements requirements);

} // namespace seedbed
