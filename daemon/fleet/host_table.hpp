#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/ip_endpoint.hpp"
#include "core/device/storage_class.hpp"
#include "daemon/fleet/fleet_status.hpp"
#include "daemon/log/line_limit.hpp"

namespace seedbed {

enum class host_phase : std::uint8_t {
    fetching,
    fetched, ///< has every piece, and will report when the image is on the disk
    complete,
    failed, ///< failed, or its disk was refused
    earlier ///< complete in an earlier round, or at first contact
};

/// A host of a fleet.
struct known_host {
    using clock = std::chrono::steady_clock;
    using address = boost::asio::ip::address;

    std::vector<address> addresses;        ///< the first one names the host; several if it has IPv4 and IPv6
    std::uint16_t port = 0;                ///< where it listens for peers; 0 if unknown
    std::string key;                       ///< of its announces (BEP 3), secret to other hosts; empty if unknown
    host_state proof = host_state::pieces; ///< if complete: the evidence
    std::string failure;                   ///< if failed: the reason
    bool refused = false;                  ///< if failed: its disk was refused, so nothing was written
    std::string device;                    ///< that it deploys to, as it reports; empty if unknown
    std::optional<storage_class> disk_class;
    bool announced = false;
    bool restored = false; ///< known from an earlier run of the daemon
    bool connected = false;
    std::optional<clock::time_point> away; ///< when it was disconnected
    /// How long it may be silent before it counts as lost. A host that does not announce has no connection while it
    /// verifies.
    clock::duration patience = std::chrono::minutes(10);
    clock::time_point seen{};
    clock::time_point started{};
    clock::time_point ended{}; ///< complete or failed
    std::int64_t left = 0;
    std::int64_t fetched = 0; ///< bytes, as it reports
    clock::time_point measured{};
    std::int64_t measured_left = 0;
    double rate = 0;        ///< bytes per second, from its completed pieces
    double sent_rate = 0;   ///< bytes per second, sent from here
    std::uint64_t look = 0; ///< number of the last look at the peers that found it
    /// Limits reports that change the host's state.
    allowance changes{8, std::chrono::seconds(10)};

    /// 20 bytes; empty if unknown.
    [[nodiscard]] std::string const& id() const noexcept { return m_id; }
    [[nodiscard]] host_phase phase() const noexcept { return m_phase; }
    /// When it stopped, or was lost, before it was complete.
    [[nodiscard]] std::optional<clock::time_point> const& stopped() const noexcept { return m_stopped; }
    [[nodiscard]] bool under_way() const noexcept {
        return m_phase == host_phase::fetching || m_phase == host_phase::fetched;
    }
    /// Under way, and not stopped.
    [[nodiscard]] bool moving() const noexcept { return under_way() && !m_stopped; }

private:
    friend class host_table;
    std::string m_id;
    host_phase m_phase = host_phase::earlier;
    std::optional<clock::time_point> m_stopped;
    std::list<known_host>::iterator m_self;
    bool m_has_claims = false;
    bool m_counts_as_moving = false;
};

/// The hosts of a fleet: recognises them, counts the complete ones and limits their number.
///
/// A host is recognised by its address; among several at an address by its peer id or port. Anyone can learn a peer id,
/// so the same peer id at another address belongs to the same host only if the announce has the host's key as well.
/// Otherwise it is a claim, and counts neither for that host nor as a separate host, so that a host with IPv4 and IPv6
/// whose client sends no key is not counted twice.
///
/// An address counts once, however many clients it has: it is complete if one of them is and none is in progress.
///
/// Threads: one at a time.
class host_table {
public:
    using clock = known_host::clock;
    using address = known_host::address;

    struct match {
        known_host* host = nullptr;
        bool claimed = false; ///< recognised only by its peer id, at an address not known to be its own
    };

    /// The maximum number of clients kept at one address.
    static constexpr std::size_t most_at_address = 64;

    /// \param limit the maximum number of hosts kept, not counting expected ones.
    explicit host_table(std::size_t limit)
        : m_limit(limit) {}
    host_table(host_table&&) = default;

    void set_limit(std::size_t limit) { m_limit = limit; }
    void set_expected(std::vector<ip_address> const& addresses);

    /// \param port 0 if unknown. \param id 20 bytes, or empty. \param key of the announce, or empty.
    [[nodiscard]] match find(address const& where, std::uint16_t port, std::string const& id = {},
                             std::string const& key = {});
    /// Adds a host. If the table is full, the hosts that have been silent longest make room; those that are complete,
    /// connected or expected stay. \return null if there is no room.
    [[nodiscard]] known_host* add(address const& where, std::uint16_t port, clock::time_point now);

    /// Does nothing if the host already has the maximum number.
    void add_address(known_host& which, address const& where);
    void set_id(known_host& which, std::string id);
    void set_phase(known_host& which, host_phase phase);
    void stop(known_host& which, clock::time_point at);
    void resume(known_host& which);

    [[nodiscard]] bool is_expected(address const& where) const;
    [[nodiscard]] bool is_expected(known_host const& which) const;
    /// Whether a client at an address has been seen by this run of the daemon, apart from restored ones.
    [[nodiscard]] bool is_heard(address const& where) const;
    /// The number of clients known at an address.
    [[nodiscard]] std::size_t count_at(address const& where) const;
    /// The number of addresses that are complete; if addresses are expected, only of those.
    [[nodiscard]] std::size_t complete() const noexcept {
        return m_expected.empty() ? m_complete : m_complete_expected;
    }
    /// The number of hosts that are moving.
    [[nodiscard]] std::size_t moving() const noexcept { return m_moving; }

    /// In the order of first contact.
    [[nodiscard]] std::list<known_host>& all() noexcept { return m_hosts; }
    [[nodiscard]] std::list<known_host> const& all() const noexcept { return m_hosts; }

    /// For tests: whether the counts are consistent with the hosts.
    [[nodiscard]] bool invariant_holds() const;

private:
    /// The hosts at an address.
    struct site {
        std::vector<known_host*> hosts;
        bool complete = false; ///< one of them is complete, and none is in progress
        bool named = false;    ///< complete, and the first address of a complete host
    };

    void claim(address const& where, known_host& of);
    [[nodiscard]] bool make_room(clock::time_point now);
    [[nodiscard]] bool make_room_at(site& where);
    void erase(known_host& which);
    void recount(known_host& which);
    void recount(address const& where);

    std::size_t m_limit;
    std::list<known_host> m_hosts; ///< a list, so that pointers to hosts stay valid
    std::map<address, site> m_sites;
    std::unordered_map<std::string, known_host*> m_by_run; ///< see run_of()
    std::map<address, known_host*> m_claims;               ///< at most m_limit
    std::set<ip_address> m_expected;
    std::size_t m_complete = 0;                                   ///< named sites
    std::size_t m_complete_expected = 0;                          ///< complete sites that are expected
    std::size_t m_moving = 0;                                     ///< hosts
    clock::time_point m_no_room_until = clock::time_point::min(); ///< no host can make room before that time
};

/// Whether a client with this peer id is Seedbed.
[[nodiscard]] bool is_seedbed(std::string_view id) noexcept;
/// Whether two peer ids are from one run of a client. Those of a Seedbed process have a common prefix
/// (own_peer_id_prefix()).
[[nodiscard]] bool same_run(std::string_view a, std::string_view b) noexcept;

} // namespace seedbed
