#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/settings.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "daemon/image/image_state.hpp"

namespace seedbed {

/// What it was that failed, where an image did.
enum class failure_kind : std::uint8_t {
    none,
    torrent,  ///< the .torrent can not be read or is refused
    guard,    ///< the device was refused, or can not be opened
    internal, ///< memory, threads, what this program did not expect
    download, ///< libtorrent has given it up
    read,     ///< of the device
    write,    ///< to the device
    flush,    ///< what was written is not durable
    verify,   ///< deploy: it could not be read back, or differs
    content   ///< seed: the device does not hold what the torrent says
};

/// What there is to tell about an image, for displays and for machines. A plain copy.
struct image_status {
    std::string name;
    std::string device;
    image_mode mode = image_mode::seed;
    image_state state = image_state::opening;
    std::string info_hash; ///< 40 hex digits; empty until the torrent has been loaded
    std::string failure;   ///< why it failed, one line; empty unless it did
    failure_kind failed_at = failure_kind::none;
    std::optional<device_guard> guard; ///< which one has refused the device
    std::int64_t total_bytes = 0;      ///< of the image; 0 until the torrent has been loaded
    std::int32_t piece_length = 0;     ///< bytes
    std::int32_t piece_count = 0;
    std::optional<storage_class> detected; ///< nothing until the device is open
    std::optional<storage_class> profile;  ///< whose profile it has
    std::string engine;                    ///< for example "io_uring, depth 64, direct I/O"

    double fraction = 0;            ///< of the present state: of the check, the download or the verification; 0 to 1
    std::int64_t bytes_left = 0;    ///< still to be downloaded
    std::int64_t downloaded = 0;    ///< payload bytes since it was opened
    std::int64_t uploaded = 0;      ///< payload bytes since it was opened
    std::int64_t download_rate = 0; ///< payload bytes a second
    std::int64_t upload_rate = 0;   ///< payload bytes a second
    int peers = 0;                  ///< connected
    std::int64_t device_read = 0;   ///< bytes read from the device since it was opened
    std::int64_t device_written = 0;
    std::int64_t fetched = 0; ///< bytes of the image that came to be written since it was opened; never behind
    bool durable = false;     ///< deploy: everything is there and flushed
    bool verified = false;    ///< deploy: and was read back
    double age_seconds = 0;   ///< since it was opened
    double phase_seconds = 0; ///< since the present state began
};

} // namespace seedbed
