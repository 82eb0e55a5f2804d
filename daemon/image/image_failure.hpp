#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/file_block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/target_facts.hpp"

namespace seedbed {

/// The kind of operation in which an image failed.
enum class failure_kind : std::uint8_t {
    none,
    torrent,  ///< the .torrent cannot be read or was refused
    guard,    ///< the device was refused or cannot be opened
    internal, ///< out of memory or threads, or an error of this program
    download, ///< libtorrent stopped the torrent
    damage,   ///< a source sends nothing but damaged pieces, or a packed image violates its format
    read,     ///< of the device
    write,    ///< to the device
    flush,    ///< the written data is not durable
    verify,   ///< deploy: the device cannot be read back, or differs
    content   ///< seed: the device differs from the torrent
};

/// The torrent and the trackers to which the refusal of a device is reported, and what is known of the device.
struct report_address {
    seedbed::info_hash info_hash;
    std::vector<std::string> announce_urls; ///< of the torrent
    target_facts facts;
};

/// Why an image failed.
struct image_failure {
    failure_kind kind = failure_kind::none;
    std::string reason;                           ///< one line
    std::optional<device_guard> guard = {};       ///< the guard that refused the device
    std::optional<report_address> report_to = {}; ///< set if the device was refused after the torrent was loaded
};

/// A piece of a source does not match the torrent.
[[nodiscard]] image_failure source_differs(std::string const& device);

/// Classifies an error of the device.
[[nodiscard]] image_failure to_failure(io_error const& error);

} // namespace seedbed
