#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device_overview.hpp"
#include "core/foundation/error.hpp"
#include "core/image/image_torrent.hpp"
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

/// What the torrent says of the image, for a deployment that ends before the image is open.
void take_torrent(receipt& made, image_torrent const& torrent);
/// The outcome of the deployment. \param layout that it was to write; null: none.
void take_outcome(receipt& made, deployment_report report, disk_layout const* layout);

/// The name of an exit status in a receipt: "done", "refused", "timed_out".
[[nodiscard]] char const* outcome_name(exit_code code) noexcept;

/// A JSON document that ends with a newline. `verified` is true only if the deployment is done and every byte was read
/// back and compared. Times are ISO 8601 in UTC, sizes in bytes, durations in seconds; an unknown value is null.
[[nodiscard]] std::string to_json(receipt const& what);

/// The same for the server, which keeps it in its history: packed, see receipt_text.hpp, and short enough for a report.
/// A long list keeps its first elements, that of the peers those which have sent most; "left_out" counts the others.
[[nodiscard]] std::string short_receipt(receipt const& what);

/// The receipt of a deployment of the daemon. \param image its settings. \param now the end.
[[nodiscard]] receipt receipt_of(image_settings const& image, ended_deployment const& ended, peer_record const& peers,
                                 receipt::clock::time_point now);

/// Writes the receipt to \p path atomically and durably; replaces a regular file.
[[nodiscard]] result<void> save_receipt(std::string const& path, receipt const& what);

} // namespace seedbed
