#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>

#include <boost/asio/ip/address.hpp>

namespace seedbed {

/// Which network shard has the peers of one torrent: each address is at one of them at a time.
///
/// A peer belongs to the shard that shard_of() tells, its home. Who comes to another one is refused; the home connects
/// to him meanwhile (see sharded_session). Who comes again after some seconds, and is not at home by then, can not be
/// reached there, since he knows one of the ports only and takes no connections himself: he stays where he came, as
/// long as he is there.
///
/// Threads: any; the network threads of all sessions ask here once for each connection.
class shard_placement {
public:
    using address = boost::asio::ip::address;
    using clock = std::chrono::steady_clock;

    /// For so long after it was refused a peer is waited for at home.
    static constexpr std::chrono::seconds patience{3};
    /// What was refused so long ago begins anew.
    static constexpr std::chrono::seconds memory{300};

    explicit shard_placement(int shards)
        : m_shards(shards) {}

    [[nodiscard]] int home_of(address const& peer) const;
    /// Which shard admits a peer: the one where others of its address are, else its home.
    [[nodiscard]] int place_of(address const& peer) const;

    /// A peer has connected to \p shard, or has been connected to from there. \return whether it may stay; then leave()
    /// is to be called when it has gone.
    [[nodiscard]] bool admit(int shard, address const& peer, clock::time_point now);
    void leave(address const& peer);

    /// Whether any shard has a peer of that address.
    [[nodiscard]] bool has(address const& peer) const;

    /// Addresses that are remembered.
    [[nodiscard]] std::size_t known() const;

private:
    struct place {
        int shard = 0; ///< where its connections are
        int connections = 0;
        clock::time_point refused{}; ///< first; the epoch: it was not, since it was there last
    };

    void forget_old(clock::time_point now);

    int const m_shards;
    mutable std::mutex m_mutex; ///< guards what follows
    std::map<address, place> m_places;
};

} // namespace seedbed
