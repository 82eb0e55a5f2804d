#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/multi_index/indexed_by.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/ordered_index.hpp>
#include <boost/multi_index/random_access_index.hpp>
#include <boost/multi_index_container.hpp>

namespace seedbed {

/// A peer as its last announce described it.
struct announced_peer {
    using clock = std::chrono::steady_clock;

    boost::asio::ip::tcp::endpoint where;
    std::string id;
    bool complete = false;
    clock::time_point seen{};
};

/// The peers that announce one image to the tracker. An announce costs as much with ten thousand peers as with ten:
/// only expire() looks at all of them, unless hardly any peer fits a request.
///
/// Threads: one at a time.
class announced_peers {
public:
    using endpoint = boost::asio::ip::tcp::endpoint;
    using clock = announced_peer::clock;

    [[nodiscard]] std::size_t size() const noexcept { return m_peers.size(); }
    [[nodiscard]] std::size_t complete() const noexcept { return m_complete; }
    [[nodiscard]] std::size_t incomplete() const noexcept { return size() - m_complete; }

    /// \return false, without a change, if no peer at this endpoint is known.
    bool update(announced_peer const& peer);
    /// The endpoint must be unknown.
    void add(announced_peer peer);
    /// \return whether the peer was known.
    bool remove(endpoint const& where);
    /// Removes the peer at an address that was silent longest, if at least \p most are there, since one address could
    /// announce 65,535 ports. \return whether a peer was removed.
    bool make_room_at(boost::asio::ip::address const& address, std::size_t most);
    /// Removes the peers for which \p is_gone is true. \return their number.
    std::size_t expire(std::function<bool(announced_peer const&)> const& is_gone);

    /// At most \p wanted different peers for which \p fits is true, chosen at random.
    [[nodiscard]] std::vector<announced_peer const*>
    sample(std::size_t wanted, std::minstd_rand& random, std::function<bool(announced_peer const&)> const& fits) const;

private:
    struct by_endpoint {};
    struct by_number {}; ///< in any order; to pick one at random
    using index = boost::multi_index::multi_index_container<
        announced_peer, boost::multi_index::indexed_by<
                            boost::multi_index::ordered_unique<
                                boost::multi_index::tag<by_endpoint>,
                                boost::multi_index::member<announced_peer, endpoint, &announced_peer::where>>,
                            boost::multi_index::random_access<boost::multi_index::tag<by_number>>>>;

    void erase(index::index<by_endpoint>::type::iterator at);

    index m_peers;
    std::size_t m_complete = 0;
};

} // namespace seedbed
