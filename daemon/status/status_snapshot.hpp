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

/// What the daemon does at one moment, for displays and for machines. Cheap to copy: lists are shared.
struct status_snapshot {
    struct image {
        image_status status;
        /// As they were at most a moment ago; null until libtorrent has told them.
        std::shared_ptr<std::vector<peer_status> const> peers;
        /// Who gets it; null where nobody follows that.
        std::shared_ptr<fleet_status const> fleet;
    };
    /// The cache of all images.
    struct cache_use {
        std::uint64_t hits = 0;      ///< reads that found their block in memory
        std::uint64_t misses = 0;    ///< reads that had to go to the device
        std::uint64_t locks = 0;     ///< how often one of its locks was taken
        std::uint64_t contended = 0; ///< how often a thread had to wait for one
        std::int64_t clean = 0;      ///< bytes that are kept
        std::int64_t dirty = 0;      ///< bytes on their way to a device
        std::int64_t filling = 0;    ///< bytes on their way from a device
    };
    /// The memory of all blocks.
    struct pool_use {
        std::int64_t capacity = 0; ///< bytes
        std::int64_t used = 0;     ///< bytes
    };

    std::string version;                           ///< of the program
    std::chrono::system_clock::time_point taken;   ///< when it was taken
    std::chrono::system_clock::time_point started; ///< when the daemon was
    double uptime_seconds = 0;                     ///< since then, by a clock that nobody sets
    bool stopping = false;                         ///< it flushes, and ends
    std::string hang;                              ///< a device that does not answer, one line; or empty
    std::chrono::steady_clock::duration silence{}; ///< for how long the network thread owes an answer
    std::vector<image> images;                     ///< by name
    cache_use cache;
    pool_use pool;

    /// Why the daemon is not healthy, one line; empty where it is.
    [[nodiscard]] std::string complaint() const;
};

[[nodiscard]] bool has_failed_image(status_snapshot const& snapshot);

/// The network thread that owes an answer for so long is said to hang.
inline constexpr std::chrono::seconds network_patience{5};

} // namespace seedbed
