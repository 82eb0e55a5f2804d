#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>

#include <boost/asio/ip/address.hpp>

namespace seedbed {

/// Decides which network shard serves which peers of one torrent. All peers of one address are in one shard at a time.
///
/// A peer belongs to its home, the shard determined by shard_of(). Any other shard refuses it, and the home connects to
/// it meanwhile (see sharded_session). A peer that returns some seconds later and is not at home by then cannot be
/// reached there: it knows only one of the ports and accepts no connections. It stays in the shard it came to for as
/// long as it is connected.
///
/// Threads: any; the network threads of all sessions call it once per connection.
class shard_placement {
public:
    using address = boost::asio::ip::address;
    using clock = std::chrono::steady_clock;

    /// How long after a refusal a peer is expected at home.
    static constexpr std::chrono::seconds patience{3};
    /// A refusal that is older than this no longer counts.
    static constexpr std::chrono::seconds memory{300};

    explicit shard_placement(int shards)
        : m_shards(shards) {}

    [[nodiscard]] int home_of(address const& peer) const;
    /// The shard that admits a peer: the one that has others of its address, otherwise its home.
    [[nodiscard]] int place_of(address const& peer) const;

    /// \p shard has a new connection, incoming or outgoing, with a peer. \return whether the peer may stay; if so, call
    /// leave() when the connection has ended.
    [[nodiscard]] bool admit(int shard, address const& peer, clock::time_point now);
    void leave(address const& peer);

    /// Whether any shard is connected to a peer with that address.
    [[nodiscard]] bool has(address const& peer) const;

    /// The number of remembered addresses.
    [[nodiscard]] std::size_t known() const;

private:
    struct place {
        int shard = 0; ///< where its connections are
        int connections = 0;
        clock::time_point refused{}; ///< first refusal since it was last connected; the epoch: none
    };

    void forget_old(clock::time_point now);

    int const m_shards;
    mutable std::mutex m_mutex; ///< guards the members below
    std::map<address, place> m_places;
};

} // namespace seedbed
