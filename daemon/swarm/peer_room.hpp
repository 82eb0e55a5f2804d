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
/// new peer that finds no room replaces an idle one: one that has been connected for a while, wants nothing and has
/// nothing. The address of the one that was replaced cannot do the same to others for half a minute, or many addresses
/// with idle peers would take every place that becomes free. For known peers there is always room.
///
/// Threads: one at a time.
class peer_room {
public:
    using clock = std::chrono::steady_clock;
    using address = boost::asio::ip::address;
    using id = std::uint64_t;

    /// How long a peer may be idle if there is no room.
    static constexpr std::chrono::seconds patience{5};

    struct verdict {
        std::optional<id> admitted; ///< nothing if there is no room
        std::optional<id> leaves;   ///< the peer to disconnect in its favour; already removed here
    };

    [[nodiscard]] verdict join(address const& from, bool known, std::size_t most, clock::time_point now);
    /// The peer wants or has something. Does nothing if it has left.
    void not_idle(id which);
    /// Does nothing if the peer has left.
    void leave(id which);

    [[nodiscard]] std::size_t size() const noexcept { return m_peers.size(); }

private:
    struct member {
        address from;
        clock::time_point since;
        bool idle = true;
    };

    /// \param from of this address only, if given.
    [[nodiscard]] std::optional<id> take_idle(std::optional<address> const& from, clock::time_point now);

    void exclude(address const& from, clock::time_point now);
    [[nodiscard]] bool is_excluded(address const& from, clock::time_point now) const;

    std::map<id, member> m_peers; ///< in the order of joining
    std::map<address, std::size_t> m_counts;
    std::map<address, clock::time_point> m_excluded; ///< since then, an address does not replace others' peers
    id m_last = 0;
};

} // namespace seedbed
