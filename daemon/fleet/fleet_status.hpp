#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace seedbed {

/// How far a host is with the present deployment. From pieces to verified it is complete.
enum class host_state : std::uint8_t {
    fetching,
    unverified, ///< has every piece, and will say when it is on its disk
    pieces,     ///< has every piece, and can say no more
    durable,    ///< written and flushed, and not read back since its configuration says so
    verified,   ///< written, flushed, read back and hashed
    failed,
    stopped ///< or not heard of any more, before it was complete
};
inline constexpr std::array host_states{host_state::fetching, host_state::unverified, host_state::pieces,
                                        host_state::durable,  host_state::verified,   host_state::failed,
                                        host_state::stopped};
/// For example "fetching".
[[nodiscard]] char const* to_string(host_state state) noexcept;
[[nodiscard]] bool is_complete(host_state state) noexcept;

/// A host that takes part in a deployment. A plain copy.
struct fleet_host {
    std::string name;    ///< as the log has it: its address, with the port where that is needed to tell it from others
    std::string address; ///< without port; IPv6 without brackets
    std::uint16_t port = 0; ///< on which it listens for peers; 0 while that is not known
    host_state state = host_state::fetching;
    bool expected = true;           ///< false where addresses are expected and its own is none of them
    bool connected = false;         ///< it is a peer of this daemon
    std::string failure;            ///< failed: why, one line
    std::optional<double> fraction; ///< of the image that it has, 0 to 1; nothing where it has not said it
    double rate = 0;                ///< bytes a second: by its pieces, or sent from here, if that is more
    std::int64_t fetched = 0;       ///< bytes, as it says itself
    double seconds = 0;             ///< that it took to complete or to fail, or has taken until now
    std::optional<std::chrono::system_clock::time_point> completed;
    std::chrono::system_clock::time_point seen;
    std::optional<double> stopped_seconds; ///< stopped: for so long
    std::optional<double> away_seconds;    ///< it was connected, and is not so any more for so long
};

/// Who gets an image, and how far they are: the present round of a fleet. A plain copy.
struct fleet_status {
    std::optional<std::size_t> expected; ///< hosts; nothing where nobody has said it
    std::size_t complete = 0;            ///< of those that are expected by address, where some are
    bool deployed = false;               ///< all that are expected are complete
    std::optional<std::chrono::system_clock::time_point> started;
    double seconds = 0;                ///< since then, or until all were complete
    std::vector<fleet_host> hosts;     ///< as they came
    std::vector<std::string> not_seen; ///< addresses that are expected, and of which nothing was heard in this round
    std::size_t missing = 0;           ///< how many that are expected were not seen: they may have no names

    [[nodiscard]] std::size_t count(host_state state) const;
    /// Those that are expected and not complete, the worst first.
    [[nodiscard]] std::vector<fleet_host const*> stragglers() const;
};

/// "12/40", or "12" where nobody has said how many there are to be.
[[nodiscard]] std::string fleet_count(fleet_status const& status);
/// What there is to say of a host that is not complete: "61% at 3.1 MiB/s", "failed: write /dev/sda: ...".
[[nodiscard]] std::string describe(fleet_host const& host);

} // namespace seedbed
