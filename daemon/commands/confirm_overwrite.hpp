#pragma once

#include <optional>
#include <string>

#include "core/device/device_identity.hpp"
#include "core/device/device_overview.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/error.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

/// What the user sees before the question: the device, and what replaces its content.
/// \param image lines that describe the image, with a newline after each.
[[nodiscard]] std::string overwrite_text(device_overview const& device, storage_class cls, std::string const& image);

/// Why a device is not overwritten, and the exit status for it.
struct overwrite_refusal {
    exit_code code = exit_not_confirmed;
    std::string message;
};

/// Asks on the terminal whether to overwrite the device at \p path, and then whether the path still leads to the device
/// that was shown: while the question waits, a disk may be replaced by another one that gets the same name. A device
/// that is missing is refused when it is opened.
///
/// \param shown the device when it was shown; nothing, or without serial number and sequence number: not compared.
/// Threads: as confirm().
[[nodiscard]] result<void, overwrite_refusal> confirm_overwrite(std::string const& path,
                                                                std::optional<device_identity> const& shown);

/// Why the path leads to another device than it did when that was shown, as confirm_overwrite() decides it; one line.
[[nodiscard]] std::optional<std::string> why_replaced(std::string const& path,
                                                      std::optional<device_identity> const& shown);

} // namespace seedbed
