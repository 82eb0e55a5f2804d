#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "config/settings.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/image_state.hpp"
#include "daemon/image/written_content.hpp"

namespace seedbed {

/// Everything that displays and machine-readable output show of an image. A plain copy.
struct image_status {
    std::string name;
    std::string device;
    image_mode mode = image_mode::seed;
    image_state state = image_state::opening;
    std::optional<seedbed::info_hash> info_hash; ///< nothing until the torrent is loaded
    std::string failure;                         ///< why the image failed, one line; empty otherwise
    failure_kind failed_at = failure_kind::none;
    std::optional<device_guard> guard;          ///< the guard that refused the device
    std::int64_t total_bytes = 0;               ///< of the image as peers exchange it; 0 unless the device is open
    std::optional<std::int64_t> unpacked_bytes; ///< of a packed image; nothing if it is raw
    std::int32_t piece_length = 0;              ///< bytes
    std::int32_t piece_count = 0;
    std::optional<storage_class> detected; ///< nothing unless the device is open
    std::optional<storage_class> profile;  ///< the class whose profile is in use
    std::string engine;                    ///< for example "io_uring, depth 64, direct I/O"

    double fraction = 0;            ///< of the check, the download or the verification, 0 to 1
    std::int64_t bytes_left = 0;    ///< still to download
    std::int64_t downloaded = 0;    ///< payload bytes since the image was opened
    std::int64_t uploaded = 0;      ///< payload bytes since the image was opened
    std::int64_t download_rate = 0; ///< payload bytes per second
    std::int64_t upload_rate = 0;   ///< payload bytes per second
    int peers = 0;                  ///< connected
    bool obtainable = true;         ///< each missing piece is at a connected peer
    std::int64_t device_read = 0;   ///< bytes read from the device since it was opened
    std::int64_t device_written = 0;
    std::int64_t fetched = 0;               ///< bytes of the image received for writing; at least device_written
    bool durable = false;                   ///< deploy: complete and flushed
    bool verified = false;                  ///< deploy: durable and read back
    written_content content;                ///< deploy: content of the device, once examined
    std::map<std::string, int> damage = {}; ///< deploy: damaged pieces that peers have sent, by "ADDRESS:PORT"
    double age_seconds = 0;                 ///< since the image was opened
    double phase_seconds = 0;               ///< since the current state began

    /// The bytes of the device that belong to the image.
    [[nodiscard]] std::int64_t device_bytes() const noexcept {
        return mode == image_mode::deploy ? unpacked_bytes.value_or(total_bytes) : total_bytes;
    }
};

} // namespace seedbed
