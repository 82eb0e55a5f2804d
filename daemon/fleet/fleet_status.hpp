#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/storage_class.hpp"

namespace seedbed {

/// The progress of a host in the current deployment. It is complete in the states pieces, durable and verified.
enum class host_state : std::uint8_t {
    fetching,
    unverified, ///< has every piece, and will report when the image is on its disk
    pieces,     ///< has every piece, but cannot report
    durable,    ///< written and flushed; not read back, as configured
    verified,   ///< written, flushed, read back and hashed
    failed,
    refused, ///< by a guard of the host: nothing was written
    stopped  ///< stopped or lost before it was complete
};
inline constexpr std::array host_states{host_state::fetching, host_state::unverified, host_state::pieces,
                                        host_state::durable,  host_state::verified,   host_state::failed,
                                        host_state::refused,  host_state::stopped};
/// For example "fetching".
[[nodiscard]] char const* to_string(host_state state) noexcept;
[[nodiscard]] bool is_complete(host_state state) noexcept;

/// A host that takes part in a deployment. A plain copy.
struct fleet_host {
    std::string name;       ///< as in the log: its address, with the port if another host has the same address
    std::string address;    ///< without port; IPv6 without brackets
    std::uint16_t port = 0; ///< where it listens for peers; 0 if unknown
    host_state state = host_state::fetching;
    bool expected = true;   ///< false if addresses are expected and its own is not among them
    bool connected = false; ///< to this daemon, as a peer
    std::string failure;    ///< one line; empty unless it failed or refused
    std::string device;     ///< that it deploys to; empty if it has not reported it
    std::optional<storage_class> disk_class;
    std::optional<double> fraction; ///< share of the image that it has, 0 to 1; nothing if unknown
    double rate = 0;                ///< bytes per second: from its completed pieces or from here, whichever is more
    std::int64_t fetched = 0;       ///< bytes, as it reports
    double seconds = 0;             ///< until it was complete, failed or refused, or until now
    std::optional<std::chrono::system_clock::time_point> completed;
    std::chrono::system_clock::time_point seen;
    std::optional<double> stopped_seconds; ///< since it stopped
    std::optional<double> away_seconds;    ///< since it was disconnected
};

/// The hosts that download an image, and their progress: the current round of a fleet. A plain copy.
struct fleet_status {
    std::optional<std::size_t> expected; ///< hosts; nothing if no number is expected
    std::size_t complete = 0;            ///< number of complete hosts; if addresses are expected, only of those
    bool deployed = false;               ///< all expected hosts are complete
    std::optional<std::chrono::system_clock::time_point> started;
    double seconds = 0;                ///< from then until all were complete, or until now
    std::vector<fleet_host> hosts;     ///< in the order of first contact
    std::vector<std::string> not_seen; ///< expected addresses without a host in this round
    std::size_t missing = 0;           ///< number of expected hosts not seen, by address or by number

    [[nodiscard]] std::size_t count(host_state state) const;
    /// The expected hosts that are not complete, the worst first.
    [[nodiscard]] std::vector<fleet_host const*> stragglers() const;
};

/// "12/40", or "12" if no number is expected.
[[nodiscard]] std::string fleet_count(fleet_status const& status);
/// The state of a host that is not complete: "61% at 3.1 MiB/s", "failed: write /dev/sda: ...".
[[nodiscard]] std::string describe(fleet_host const& host);

} // namespace seedbed
