#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>

#include <boost/asio/ip/address.hpp>

namespace seedbed {

/// Decides which peers of a session may stay, so that many idle connections cannot keep others out.
///
/// One address may have half of all places; once half of them are taken, only a sixteenth, but always at least eight. A
/// new peer that finds no room replaces an idle one: one that has not been active for a while. The address of the one
/// that was replaced cannot do the same to others for some time, and what it puts in the place of a peer of its own is
/// as idle as that was: otherwise many addresses with idle peers would take every place that becomes free. For known
/// addresses there is always room, up to their share.
///
/// Threads: one at a time.
class peer_room {
public:
    using clock = std::chrono::steady_clock;
    using address = boost::asio::ip::address;
    using id = std::uint64_t; ///< of a peer with a place; from 1

    /// How long a peer may be inactive if there is no room.
    struct patience {
        std::chrono::seconds silent{5};
        /// For one that says that it wants or has something. Saying so costs nothing.
        std::chrono::seconds with_reason{30};
    };

    struct verdict {
        std::optional<id> admitted; ///< nothing if there is no room
        std::optional<id> leaves;   ///< the peer to disconnect in its favour; already removed here
    };

    peer_room() = default;
    explicit peer_room(patience limits)
        : m_patience(limits) {}

    [[nodiscard]] verdict join(address const& from, bool known, std::size_t most, clock::time_point now);
    /// The peer says that it wants or has something. Does nothing if it has left.
    void has_reason(id which);
    /// The peer receives or sends payload, or waits until it may. Does nothing if it has left.
    void is_active(id which, clock::time_point now);
    /// Does nothing if the peer has left.
    void leave(id which);

    [[nodiscard]] std::size_t size() const noexcept { return m_peers.size(); }

private:
    struct member {
        address from;
        clock::time_point active; ///< since then, it has not been active
        bool has_reason = false;
    };

    using members = std::map<id, member>;

    /// \param from of this address only, if given. \return the end if there is none.
    [[nodiscard]] members::iterator find_idle(std::optional<address> const& from, clock::time_point now);
    void exclude(member const& idle, clock::time_point now);
    [[nodiscard]] bool is_excluded(address const& from, clock::time_point now) const;

    patience m_patience;
    members m_peers; ///< in the order of joining
    std::map<address, std::size_t> m_counts;
    std::map<address, clock::time_point> m_excluded; ///< until then, an address does not replace others' peers
    id m_last = 0;
};

} // namespace seedbed
