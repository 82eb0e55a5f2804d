#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/io_profile.hpp"
#include "core/device/storage_class.hpp"

namespace seedbed {

enum class image_mode : std::uint8_t { seed, deploy };
[[nodiscard]] char const* to_string(image_mode mode) noexcept;

/// When the pieces of an image that is seeded are hashed.
enum class source_check : std::uint8_t {
    lazy, ///< each one before it is served the first time
    full, ///< all of them before the first one is served
    none  ///< never
};
[[nodiscard]] char const* to_string(source_check check) noexcept;

/// How it is found out what a device that is deployed to holds already.
enum class target_check : std::uint8_t {
    resume, ///< by a checkpoint that fits, or else as full
    full,   ///< by reading all of it
    none    ///< not at all: everything is fetched
};
[[nodiscard]] char const* to_string(target_check check) noexcept;
/// Whom an image is deployed to, and what is done when all of them have it.
struct fleet_settings {
    std::optional<int> expect;             ///< how many hosts; nothing where nobody has said it
    std::vector<std::string> expect_hosts; ///< or which: literal addresses, as inet_ntop(3) writes them
    std::vector<std::string> on_complete;  ///< an absolute path and arguments; empty for nothing
    std::chrono::milliseconds on_complete_timeout{60'000};
    friend bool operator==(fleet_settings const&, fleet_settings const&) = default;
};

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
    source_check verify_source = source_check::lazy; ///< seed
    target_check check = target_check::resume;       ///< deploy
    std::int64_t upload_limit = 0;                   ///< bytes a second to all its peers; 0: no limit
    bool super_seeding = false;                      ///< seed: offers each peer a few pieces at a time, at first
    fleet_settings fleet;
    std::string origin; ///< "file:line" of the table, for messages; not part of comparison

    /// Whether the daemon follows who gets it. What a machine is written from is nobody's fleet, unless somebody says
    /// so.
    [[nodiscard]] bool has_fleet() const noexcept {
        return mode == image_mode::seed || fleet.expect || !fleet.expect_hosts.empty();
    }

    /// Equal in everything that matters while running: all but origin.
    friend bool operator==(image_settings const& a, image_settings const& b);
};

struct network_settings {
    std::vector<std::string> listen{"0.0.0.0:6881", "[::]:6881"}; ///< "ADDRESS:PORT" each
    bool local_discovery = true;                                  ///< BEP 14 multicast on the LAN
    std::int64_t upload_limit = 0;                                ///< bytes a second to all peers; 0: no limit
    std::int64_t download_limit = 0;                              ///< bytes a second from all peers; 0: no limit
    int connections = 4000;                                       ///< peers at a time
    int upload_slots = 0;                                         ///< peers that are sent to at a time; 0: all
    bool slow_start = false; ///< begins with few upload slots where nobody was connected
    bool read_once = true;   ///< a seed larger than memory takes back what peers can fetch from each other
    int shards = 1;          ///< libtorrent sessions that share the peers of seeds, on consecutive ports
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

struct resume_settings {
    std::chrono::milliseconds interval{30'000}; ///< between two checkpoints of a download; 0: none, and none is used
    std::string folder; ///< absolute path; empty: the one that the service manager names, or /var/lib/seedbed
    friend bool operator==(resume_settings const&, resume_settings const&) = default;
};

/// The tracker for the daemon's own images.
struct tracker_settings {
    bool enabled = true;
    /// "ADDRESS:PORT" each; nothing: those of default_listen() that are to be had.
    std::optional<std::vector<std::string>> listen;
    std::chrono::milliseconds interval{30'000};     ///< at which clients are to announce
    std::chrono::milliseconds min_interval{10'000}; ///< more often they must not
    int peers_per_image = 4096;                     ///< that are kept
    int peers = 16384;                              ///< that are kept, of all images
    int numwant = 200;                              ///< the most that an answer names
    std::int64_t max_request = 8 << 10;             ///< bytes
    [[nodiscard]] static std::vector<std::string> default_listen() { return {"0.0.0.0:6969", "[::]:6969"}; }
    friend bool operator==(tracker_settings const&, tracker_settings const&) = default;
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
    tracker_settings tracker;
    memory_settings memory;
    hashing_settings hashing;
    resume_settings resume;
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
