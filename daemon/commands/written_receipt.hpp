#pragma once

#include <string>

#include "daemon/service/receipt.hpp"
#include "daemon/terminal/console.hpp"

namespace seedbed {

/// Sets the end of a deployment, and its errors to those that were printed.
void complete_receipt(receipt& made, console const& output);

/// Completes the receipt of a command and saves it; does nothing if \p path is
/// empty. \param command for the message if it cannot be saved. \return the command's exit status: that of the receipt,
/// or exit_failed if it would be a success, but the receipt cannot be saved.
[[nodiscard]] int write_receipt(std::string const& command, std::string const& path, receipt& made, console& output);

} // namespace seedbed
