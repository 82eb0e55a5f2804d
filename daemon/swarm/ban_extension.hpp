#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <set>

#include <boost/asio/ip/address.hpp>
#include <libtorrent/fwd.hpp>

namespace seedbed {

/// The addresses from which a torrent accepts no peer for now. libtorrent bans an address and a port: a peer that
/// connects by itself comes back from another port.
///
/// Threads: safe.
class banned_addresses {
public:
    /// More are not banned: libtorrent's own ban holds for them.
    static constexpr std::size_t most = 1024;

    void add(boost::asio::ip::address const& banned) {
        std::scoped_lock const lock(m_mutex);
        if (m_addresses.size() < most) {
            m_addresses.insert(banned);
        }
    }
    void remove(boost::asio::ip::address const& lifted) {
        std::scoped_lock const lock(m_mutex);
        m_addresses.erase(lifted);
    }
    [[nodiscard]] bool contains(boost::asio::ip::address const& which) const {
        std::scoped_lock const lock(m_mutex);
        return m_addresses.contains(which);
    }

private:
    mutable std::mutex m_mutex;
    std::set<boost::asio::ip::address> m_addresses;
};

/// Disconnects a peer whose address is banned, at its handshake. Other connections from that address stay.
///
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_ban_extension(std::shared_ptr<banned_addresses const> banned);

} // namespace seedbed
