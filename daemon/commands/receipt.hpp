#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device_overview.hpp"
#include "core/foundation/error.hpp"
#include "daemon/service/deployment.hpp"

namespace seedbed {

/// What a receipt tells.
struct receipt {
    using clock = std::chrono::system_clock;

    clock::time_point started;
    clock::time_point ended;
    std::string torrent;                     ///< the path of the .torrent
    std::string device;                      ///< the path
    std::optional<device_overview> overview; ///< nothing where the device could not be looked at
    std::string image_name;                  ///< empty where the torrent could not be read
    deployment_report result;                ///< as far as it came
    std::vector<std::string> errors;         ///< what was said about failures, in order
};

/// What the exit status is called in a receipt: "done", "refused", "timed_out".
[[nodiscard]] char const* outcome_name(exit_code code) noexcept;

/// One JSON document with a newline at its end. `verified` is true only where the deployment is done and every byte was
/// read back and compared. Times are ISO 8601 in UTC; sizes are bytes, durations seconds; what is not known is null.
[[nodiscard]] std::string to_json(receipt const& what);

/// Writes it to \p path, whole or not at all, and durably; replaces a regular file.
[[nodiscard]] result<void> save_receipt(std::string const& path, receipt const& what);

} // namespace seedbed
