#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/ip_endpoint.hpp"
#include "config/ip_network.hpp"
#include "core/device/growth.hpp"
#include "core/device/io_profile.hpp"
#include "core/device/storage_class.hpp"

namespace seedbed {

enum class image_mode : std::uint8_t { seed, deploy };
[[nodiscard]] char const* to_string(image_mode mode) noexcept;

/// When the pieces of a seeded image are hashed.
enum class source_check : std::uint8_t {
    lazy, ///< each piece before it is first served
    full, ///< all pieces before the first one is served
    none  ///< never
};
[[nodiscard]] char const* to_string(source_check check) noexcept;

/// How a deployment determines which data its device already has.
enum class target_check : std::uint8_t {
    resume, ///< by a checkpoint that matches; otherwise as `full`
    full,   ///< by reading the whole device
    none    ///< not at all: everything is downloaded
};
[[nodiscard]] char const* to_string(target_check check) noexcept;

/// The hosts to which an image is deployed, and the program to run when all have it.
struct fleet_settings {
    std::optional<int> expect;            ///< number of hosts; nothing: unknown
    std::vector<ip_address> expect_hosts; ///< their addresses, instead of a number
    std::vector<std::string> on_complete; ///< absolute path and arguments; empty: none
    std::chrono::milliseconds on_complete_timeout{60'000};
    friend bool operator==(fleet_settings const&, fleet_settings const&) = default;
};

/// One [[image]] table.
struct image_settings {
    std::string name;    ///< unique; names the image in the log and the status
    std::string torrent; ///< absolute path of the .torrent file
    std::string device;  ///< absolute path of the block device or regular file; unique
    image_mode mode = image_mode::seed;
    std::optional<storage_class> profile; ///< overrides detection
    std::vector<ip_endpoint> peers;       ///< to connect to
    std::vector<std::string> trackers;    ///< announce URLs, besides the torrent's own
    std::optional<std::string> serial;    ///< the disk must have this serial number
    std::optional<std::int64_t> size;     ///< the device must have this size, in bytes
    bool allow_mounted = false;           ///< seed: accept a device that is mounted read-write
    bool allow_mismatch = false;          ///< deploy: accept a device of another kind than the image's source
    bool wipe_signatures = true;          ///< deploy: wipe those of earlier content that the image does not overwrite
    bool verify = true;                   ///< deploy: read the device back and hash it before the image is done
    source_check verify_source = source_check::lazy; ///< seed
    target_check check = target_check::resume;       ///< deploy
    std::int64_t upload_limit = 0;                   ///< bytes per second to all its peers; 0: no limit
    bool super_seeding = false;                      ///< seed: initially offer each peer only a few pieces at a time
    fleet_settings fleet;
    std::string origin; ///< "file:line" of the table, for messages; not part of comparison

    /// Whether the daemon tracks the hosts that download the image. A deployed image has a fleet only if it expects
    /// hosts.
    [[nodiscard]] bool has_fleet() const noexcept {
        return mode == image_mode::seed || fleet.expect || !fleet.expect_hosts.empty();
    }

    /// Compares every key; origin is not a key.
    friend bool operator==(image_settings const& a, image_settings const& b);
};

/// What a machine does after a successful deployment.
enum class after_deploy : std::uint8_t { reboot, poweroff, wait };
[[nodiscard]] char const* to_string(after_deploy action) noexcept;
/// The inverse; nothing for any other text.
[[nodiscard]] std::optional<after_deploy> parse_after_deploy(std::string_view text) noexcept;

/// What a machine gets.
struct machine_order {
    std::string image = {};    ///< name of an [[image]] in mode "seed"; empty: nothing
    std::string disk = "auto"; ///< a rule, see parse_disk_rule()
    growth grow = {};          ///< only for the packed image of a disk
    bool new_ids = false;      ///< likewise
    after_deploy after = after_deploy::reboot;

    friend bool operator==(machine_order const&, machine_order const&) = default;
};

/// One [[machine]] table: an order for one machine.
struct machine_settings {
    std::string name;    ///< unique, regardless of case
    std::string mac;     ///< of any of its network cards, as parse_mac_address() returns it; empty: see serial
    std::string serial;  ///< its DMI serial number; empty: see mac
    machine_order order; ///< with an image
    std::string origin;  ///< "file:line" of the table, for messages; not part of comparison

    /// Compares every key.
    friend bool operator==(machine_settings const& a, machine_settings const& b);
};
/// The most [[machine]] tables.
inline constexpr std::size_t most_machines = 10'000;

struct network_settings {
    std::vector<ip_endpoint> listen = any_address(6881);
    std::vector<ip_network> allow;   ///< addresses that may take part, as a peer or over HTTP; empty: all
    std::string secret_file;         ///< absolute path; empty: no secret
    bool local_discovery = true;     ///< BEP 14 multicast on the LAN
    std::int64_t upload_limit = 0;   ///< bytes per second to all peers; 0: no limit
    std::int64_t download_limit = 0; ///< bytes per second from all peers; 0: no limit
    int connections = 4000;          ///< maximum number of peers
    int upload_slots = 0;            ///< peers sent to concurrently; 0: no limit
    bool slow_start = false;         ///< start with few upload slots when the first peers connect
    bool read_once = true;           ///< send each piece about once: withhold those that peers can get from each other
    int shards = 1;                  ///< libtorrent sessions that share the peers of seeds, on consecutive ports
    friend bool operator==(network_settings const&, network_settings const&) = default;
};

struct memory_settings {
    std::int64_t pool = 256LL << 20;   ///< bytes for all blocks in memory
    std::optional<std::int64_t> cache; ///< bytes of the pool that may keep clean blocks; nothing: all free ones
    /// Bytes of packed pieces that each deployment of a packed image keeps for other peers, in addition to the pool;
    /// nothing: the deployments share half of the free memory.
    std::optional<std::int64_t> packed;
    int cache_shards = 32;                  ///< a power of two
    bool huge_pages = true;                 ///< ask the kernel for huge pages
    std::int64_t max_torrent = 256LL << 20; ///< largest .torrent file, in bytes
    friend bool operator==(memory_settings const&, memory_settings const&) = default;
};

struct hashing_settings {
    std::optional<int> threads; ///< nothing: one per processor
    bool ahead = true;          ///< hash a piece while it arrives, not when it is complete
    friend bool operator==(hashing_settings const&, hashing_settings const&) = default;
};

struct resume_settings {
    std::chrono::milliseconds interval{30'000}; ///< between checkpoints of a download; 0: none are written or read
    std::string folder; ///< absolute path; empty: the service manager's state folder, or /var/lib/seedbed
    friend bool operator==(resume_settings const&, resume_settings const&) = default;
};

/// The tracker for the daemon's own images.
struct tracker_settings {
    bool enabled = true;
    std::optional<std::vector<ip_endpoint>> listen; ///< nothing: all available addresses of default_listen()
    std::chrono::milliseconds interval{30'000};     ///< between announces, as requested of clients
    std::chrono::milliseconds min_interval{10'000}; ///< minimum between announces
    int peers_per_image = 4096;                     ///< kept for each image
    int peers = 16384;                              ///< kept for all images together
    int peers_per_address = 64;                     ///< kept for each image at one address
    int numwant = 8;                                ///< maximum number of peers in an answer
    std::int64_t max_request = 8 << 10;             ///< maximum length of a request, in bytes
    [[nodiscard]] static std::vector<ip_endpoint> default_listen() { return any_address(6969); }
    friend bool operator==(tracker_settings const&, tracker_settings const&) = default;
};

/// Where the daemon serves "seedbed status".
struct control_settings {
    std::string socket = "/run/seedbed/seedbed.sock"; ///< absolute path of a Unix socket; empty: none
    friend bool operator==(control_settings const&, control_settings const&) = default;
};

/// Where /metrics and /healthz are served over TCP.
struct metrics_settings {
    std::vector<ip_endpoint> listen; ///< empty: nowhere
    friend bool operator==(metrics_settings const&, metrics_settings const&) = default;
};

/// Where the web page of the machines is served.
struct web_settings {
    std::vector<ip_endpoint> listen; ///< empty: nowhere
    friend bool operator==(web_settings const&, web_settings const&) = default;
};

/// The history of deployments.
struct history_settings {
    int limit = 100'000; ///< the most deployments that are kept; 0: none
    friend bool operator==(history_settings const&, history_settings const&) = default;
};

enum class log_level : std::uint8_t { error, warning, info, debug, trace };
[[nodiscard]] char const* to_string(log_level level) noexcept;

struct log_settings {
    log_level level = log_level::info;
    friend bool operator==(log_settings const&, log_settings const&) = default;
};

/// For machines that boot over the network.
struct boot_settings {
    machine_order order{.after = after_deploy::wait}; ///< for machines without a [[machine]] table
    std::string files; ///< absolute path of the folder that is served at /boot/ over HTTP; empty: none
    friend bool operator==(boot_settings const&, boot_settings const&) = default;
};

/// The whole configuration, validated: plain values without references to the source text.
struct settings {
    std::vector<image_settings> images;
    std::vector<machine_settings> machines;
    boot_settings boot;
    network_settings network;
    tracker_settings tracker;
    memory_settings memory;
    hashing_settings hashing;
    resume_settings resume;
    control_settings control;
    metrics_settings metrics;
    web_settings web;
    history_settings history;
    log_settings log;
    /// Indexed by storage_class.
    std::array<io_profile, 3> profiles{default_profile(storage_class::hdd), default_profile(storage_class::sata_ssd),
                                       default_profile(storage_class::nvme)};

    [[nodiscard]] io_profile const& profile(storage_class cls) const noexcept {
        return profiles[static_cast<std::size_t>(cls)];
    }
};

} // namespace seedbed
