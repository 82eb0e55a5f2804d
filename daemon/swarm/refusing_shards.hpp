#pragma once

#include <cstddef>
#include <set>

#include <libtorrent/socket.hpp>

namespace seedbed {

/// The network shards that have referred this host to another one. A stranger may refer it to each of its ports and
/// addresses, so their number is limited.
///
/// Threads: not thread-safe.
class refusing_shards {
public:
    using endpoint = libtorrent::tcp::endpoint;

    /// More are not remembered: they refer this host again.
    static constexpr std::size_t most = 1024;

    void add(endpoint const& shard) {
        if (m_shards.size() < most) {
            m_shards.insert(shard);
        }
    }
    void remove(endpoint const& shard) { m_shards.erase(shard); }
    [[nodiscard]] bool contains(endpoint const& shard) const { return m_shards.contains(shard); }

private:
    std::set<endpoint> m_shards;
};

} // namespace seedbed
