#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device_overview.hpp"
#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"
#include "daemon/service/deployment.hpp"

namespace seedbed {

/// The result of one deployment, for its receipt.
struct receipt {
    using clock = std::chrono::system_clock;

    clock::time_point started;
    clock::time_point ended;
    /// The duration does not depend on the system clock, which may be set meanwhile.
    std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
    std::chrono::steady_clock::duration taken{};
    std::string torrent;                     ///< path of the .torrent
    std::string device;                      ///< the path
    std::optional<device_overview> overview; ///< nothing if the device could not be examined
    std::string image_name;                  ///< empty if the torrent could not be read
    deployment_report result;                ///< as far as the deployment got
    std::optional<disk_layout> layout;       ///< that was written to the disk; nothing if none was
    std::vector<std::string> errors;         ///< the error messages, in order
};

/// The name of an exit status in a receipt: "done", "refused", "timed_out".
[[nodiscard]] char const* outcome_name(exit_code code) noexcept;

/// A JSON document that ends with a newline. `verified` is true only if the deployment is done and every byte was read
/// back and compared. Times are ISO 8601 in UTC, sizes in bytes, durations in seconds; an unknown value is null.
[[nodiscard]] std::string to_json(receipt const& what);

/// Writes the receipt to \p path atomically and durably; replaces a regular file.
[[nodiscard]] result<void> save_receipt(std::string const& path, receipt const& what);

} // namespace seedbed
