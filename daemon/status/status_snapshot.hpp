#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "daemon/fleet/fleet_status.hpp"
#include "daemon/image/image_status.hpp"
#include "daemon/swarm/peer_status.hpp"

namespace seedbed {

/// The state of the daemon at one moment, for displays and programs. Cheap to copy: lists are shared.
struct status_snapshot {
    struct image {
        image_status status;
        /// Null until libtorrent's first answer.
        std::shared_ptr<std::vector<peer_status> const> peers;
        /// The hosts that download it; null if they are not tracked.
        std::shared_ptr<fleet_status const> fleet;
    };
    /// The cache of all images.
    struct cache_use {
        std::uint64_t hits = 0;      ///< reads that found their block in memory
        std::uint64_t misses = 0;    ///< reads that went to the device
        std::uint64_t locks = 0;     ///< acquisitions of its locks
        std::uint64_t contended = 0; ///< acquisitions that had to wait
        std::int64_t clean = 0;      ///< bytes kept for further reads
        std::int64_t dirty = 0;      ///< bytes to be written
        std::int64_t filling = 0;    ///< bytes being read
    };
    /// The memory of all blocks.
    struct pool_use {
        std::int64_t capacity = 0; ///< bytes
        std::int64_t used = 0;     ///< bytes
    };

    std::string version;                           ///< of the program
    std::chrono::system_clock::time_point taken;   ///< when it was taken
    std::chrono::system_clock::time_point started; ///< when the daemon was started
    double uptime_seconds = 0;                     ///< since then, on a monotonic clock
    bool stopping = false;                         ///< the daemon is flushing and about to end
    std::string hang;                              ///< the device that hangs, as one line; or empty
    std::chrono::steady_clock::duration silence{}; ///< how long an answer of the network thread is overdue
    std::vector<image> images;                     ///< by name
    cache_use cache;
    pool_use pool;

    /// Why the daemon is not healthy, one line; empty if it is.
    [[nodiscard]] std::string complaint() const;
};

[[nodiscard]] bool has_failed_image(status_snapshot const& snapshot);

/// A network thread whose answer is overdue by this long counts as hung.
inline constexpr std::chrono::seconds network_patience{5};

} // namespace seedbed
