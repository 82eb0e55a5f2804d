#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/file_block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"

namespace seedbed {

/// Where an image failed.
enum class failure_kind : std::uint8_t {
    none,
    torrent,  ///< the .torrent cannot be read or is refused
    guard,    ///< the device is refused or cannot be opened
    internal, ///< out of memory or threads, or an error of this program
    download, ///< libtorrent stopped the torrent
    read,     ///< of the device
    write,    ///< to the device
    flush,    ///< the written data is not durable
    verify,   ///< deploy: the device cannot be read back, or differs
    content   ///< seed: the device differs from the torrent
};

/// Where the outcome of a deployment is reported.
struct report_address {
    seedbed::info_hash info_hash;
    std::vector<std::string> announce_urls; ///< of the torrent
};

/// Why an image failed.
struct image_failure {
    failure_kind kind = failure_kind::none;
    std::string reason;                           ///< one line
    std::optional<device_guard> guard = {};       ///< the one that refused the device
    std::optional<report_address> report_to = {}; ///< of a refused device, whose torrent is loaded
};

/// The failure that an error of the device is.
[[nodiscard]] inline image_failure to_failure(io_error const& error) {
    switch (error.operation) {
    case io_operation::write:
        return {failure_kind::write, error.message()};
    case io_operation::flush:
        return {failure_kind::flush, error.message()};
    default:
        return {failure_kind::read, error.message()};
    }
}

} // namespace seedbed
