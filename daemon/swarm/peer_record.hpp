#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>

#include "daemon/swarm/peer_status.hpp"

namespace seedbed {

/// The peers with which a torrent has exchanged payload, for the receipt of a deployment.
///
/// Threads: every member may be called from any thread.
class peer_record {
public:
    /// A stranger can connect with a new id each time.
    static constexpr std::size_t limit = 1'000;

    /// Adds a connection that has ended. The bytes of all connections with one id are added up. Beyond the limit,
    /// peers that sent payload take the places of peers that did not.
    void add(peer_status const& peer);
    /// \return the peers by id.
    [[nodiscard]] std::map<std::string, peer_status> peers() const;

private:
    mutable std::mutex m_mutex;
    std::map<std::string, peer_status> m_peers;
};

} // namespace seedbed
