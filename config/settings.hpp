#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/io_profile.hpp"
#include "core/device/storage_class.hpp"

namespace seedbed {

enum class image_mode : std::uint8_t { seed, deploy };
[[nodiscard]] char const* to_string(image_mode mode) noexcept;

/// One [[image]] table.
struct image_settings {
    std::string name;    ///< unique; names the image in logs
    std::string torrent; ///< absolute path of the .torrent file
    std::string device;  ///< absolute path of the block device or regular file; unique
    image_mode mode = image_mode::seed;
    std::optional<storage_class> profile; ///< overrides detection
    std::vector<std::string> peers;       ///< "ADDRESS:PORT" to connect to
    std::vector<std::string> trackers;    ///< announce URLs, besides the torrent's own
    std::optional<std::string> serial;    ///< the disk must have this serial number
    std::optional<std::int64_t> size;     ///< the device must have this size, in bytes
    bool allow_mounted = false;           ///< seed although the device is mounted read-write
    bool verify = true;                   ///< deploy: read everything back and hash it before it counts as done
    std::string origin;                   ///< "file:line" of the table, for messages; not part of comparison

    /// Equal in everything that matters while running: all but origin.
    friend bool operator==(image_settings const& a, image_settings const& b);
};

struct network_settings {
    std::vector<std::string> listen{"0.0.0.0:6881", "[::]:6881"}; ///< "ADDRESS:PORT" each
    bool local_discovery = true;                                  ///< BEP 14 multicast on the LAN
    friend bool operator==(network_settings const&, network_settings const&) = default;
};

struct memory_settings {
    std::int64_t pool = 256LL << 20; ///< bytes for all blocks in memory
    std::optional<std::int64_t>
        cache;              ///< bytes that are kept in case somebody asks again; nothing: what the pool has room for
    int cache_shards = 32;  ///< a power of two
    bool huge_pages = true; ///< ask the kernel for them
    std::int64_t max_torrent = 256LL << 20; ///< bytes that a .torrent file may have
    friend bool operator==(memory_settings const&, memory_settings const&) = default;
};

struct hashing_settings {
    std::optional<int> threads; ///< nothing: as many as processors
    bool ahead = true;          ///< hash a piece while it arrives
    friend bool operator==(hashing_settings const&, hashing_settings const&) = default;
};

/// How the daemon is asked what it does.
struct control_settings {
    std::string socket = "/run/seedbed/seedbed.sock"; ///< absolute path of a Unix socket; empty: none
    friend bool operator==(control_settings const&, control_settings const&) = default;
};

/// Where /metrics and /healthz are served over TCP.
struct metrics_settings {
    std::vector<std::string> listen; ///< "ADDRESS:PORT" each; empty: nowhere
    friend bool operator==(metrics_settings const&, metrics_settings const&) = default;
};

enum class log_level : std::uint8_t { error, warning, info, debug, trace };
[[nodiscard]] char const* to_string(log_level level) noexcept;

struct log_settings {
    log_level level = log_level::info;
    friend bool operator==(log_settings const&, log_settings const&) = default;
};

/// The whole configuration, validated: plain values, no reference to the text it came from.
struct settings {
    std::vector<image_settings> images;
    network_settings network;
    memory_settings memory;
    hashing_settings hashing;
    control_settings control;
    metrics_settings metrics;
    log_settings log;
    /// Indexed by storage_class.
    std::array<io_profile, 3> profiles{default_profile(storage_class::hdd), default_profile(storage_class::sata_ssd),
                                       default_profile(storage_class::nvme)};

    [[nodiscard]] io_profile const& profile(storage_class cls) const noexcept {
        return profiles[static_cast<std::size_t>(cls)];
    }
};

/// The dotted keys ("hashing.ahead") in which \p wanted differs from \p running although a running daemon cannot change
/// them: what has been set up with them is in use. Empty if a reload can apply everything.
[[nodiscard]] std::vector<std::string> unchangeable_differences(settings const& running, settings const& wanted);

} // namespace seedbed
