#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/entry.hpp>

#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/announced_peers.hpp"

namespace seedbed {

/// A client's announce.
struct announcement {
    enum class event_kind : std::uint8_t { none, started, completed, stopped };
    seedbed::info_hash info_hash;
    std::string peer_id;                 ///< 20 bytes
    std::string key;                     ///< known only to the client and its trackers (BEP 3); empty if it sends none
    boost::asio::ip::tcp::endpoint peer; ///< its address, and the port on which it claims to listen
    std::int64_t downloaded = 0;         ///< bytes since it started
    std::int64_t left = 0;               ///< bytes that it still needs; 0: it has all that it wants
    event_kind event = event_kind::none;
};

struct tracker_limits {
    std::chrono::seconds interval{30};     ///< sent to clients
    std::chrono::seconds min_interval{10}; ///< sent to clients
    std::size_t peers_per_image = 4096;    ///< kept; further peers are answered but not advertised
    std::size_t peers = 16384;             ///< kept for all images together
    std::size_t peers_per_address = 64;    ///< kept for an image; a new one replaces the oldest
    /// In an answer, besides the daemon's own endpoints. As many other peers choose this one, and a piece reaches 1000
    /// machines that have 16 neighbours each almost as soon as if all were connected, at a fraction of the messages.
    std::size_t numwant = 8;
};

/// A BitTorrent tracker without sockets: announce (BEP 3; compact answers, BEP 23; IPv6, BEP 7) and scrape (BEP 48) for
/// the images of set_images() only.
///
/// A client gets peers of the address family over which it announces; a client with both families announces over both.
/// Each answer lists the daemon itself, at the address at which the client has reached the tracker: the first targets
/// need no other peer. The daemon's own announces are answered but not kept.
///
/// Threads: one at a time.
class tracker {
public:
    using clock = std::chrono::steady_clock;
    using address = boost::asio::ip::address;
    using endpoint = boost::asio::ip::tcp::endpoint;

    struct image {
        seedbed::info_hash info_hash;
        bool complete = false; ///< the daemon has the complete image
    };

    /// \param on_announce called with each valid announcement, except the daemon's own.
    tracker(tracker_limits const& limits, std::function<void(announcement const&)> on_announce);

    void set_limits(tracker_limits const& limits);
    /// Sets the prefix of this daemon's peer ids and its listeners for peers. \param shards the number of its network
    /// shards: a client gets the port of the shard that serves its address (port_of_shard()).
    void set_own(std::string peer_id_prefix, std::vector<endpoint> listeners, int shards = 1);
    /// Sets the images to serve. Those already served keep their peers.
    void set_images(std::vector<image> const& images);

    /// \param target "/announce?...". \param local the address that the client connected to.
    /// \return a bencoded dictionary.
    [[nodiscard]] std::string announce(std::string_view target, address const& peer, address const& local,
                                       clock::time_point now);
    /// \param target "/scrape?info_hash=...&info_hash=..."; all images if it has no info_hash.
    [[nodiscard]] std::string scrape(std::string_view target, clock::time_point now);

    /// Forgets peers that have not announced for two intervals.
    void expire(clock::time_point now);
    /// How long a peer may be silent before it is forgotten.
    [[nodiscard]] clock::duration patience(std::string_view peer_id) const;

    /// The number of peers kept for all images together.
    [[nodiscard]] std::size_t peers() const noexcept { return m_peers; }

private:
    struct swarm {
        bool own_complete = false;
        std::int64_t completions = 0;
        announced_peers peers;
    };

    using chosen_peers = std::vector<announced_peer const*>;

    /// The peers by what they have, as announces and scrapes are answered.
    struct counts {
        std::int64_t complete = 0;
        std::int64_t incomplete = 0;
    };
    [[nodiscard]] static counts count(swarm const& of);
    void keep(swarm& of, announcement const& said, clock::time_point now);
    [[nodiscard]] chosen_peers choose(swarm const& of, announcement const& said, std::size_t wanted);
    static void add_peer_list(libtorrent::entry& answer, std::vector<endpoint> const& own_ones,
                              chosen_peers const& peers, bool with_id);
    static void add_compact_peers(libtorrent::entry& answer, std::vector<endpoint> const& own_ones,
                                  chosen_peers const& peers, bool v6);
    [[nodiscard]] std::vector<endpoint> own_endpoints(address const& local, address const& peer) const;
    [[nodiscard]] bool is_own(std::string_view peer_id) const;

    tracker_limits m_limits;
    std::function<void(announcement const&)> m_on_announce;
    std::string m_own_prefix;
    std::vector<endpoint> m_own_listeners;
    int m_own_shards = 1;
    std::map<info_hash, swarm> m_swarms;
    std::size_t m_peers = 0;
    bool m_full = false; ///< the table is full, which has been logged
    clock::time_point m_expired{};
    std::minstd_rand m_random{std::random_device{}()};
};

} // namespace seedbed
