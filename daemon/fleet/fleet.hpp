#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "config/settings.hpp"
#include "daemon/fleet/fleet_status.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/swarm/peer_status.hpp"

namespace seedbed {

/// The hosts that get an image, their progress, and the completion of the deployment.
///
/// A host is a client that has announced itself at the tracker or is connected as a peer. It is recognised by its peer
/// id, by address and port, or by its address if only one host has that. libtorrent uses another id on each connection
/// than in its announces, so a host with IPv4 and IPv6 may look like two: one that is known as a peer only is counted
/// by its IPv4 address, or if its address is expected. A host is complete
///
///   - if it is Seedbed and can report: when it has reported that the image is on its disk, verified or at least
///     flushed;
///   - otherwise, when it has every piece: by the tracker's "completed" or left=0, or by its bitfield. The state of its
///     disk is unknown then, and the log says "has all pieces".
///
/// A host that has everything when it is first seen is a seed and not counted, unless its address is expected or it
/// reports. A round ends when all expected hosts are complete; the first host that starts after that begins the next
/// round, in which no host is complete yet. A host that restarts within a round is incomplete again. One that fails,
/// stops or disappears is named and never counted.
///
/// Threads: one at a time.
class fleet {
public:
    using clock = std::chrono::steady_clock;

    /// A line for the log.
    struct line {
        log_level level = log_level::info;
        std::string text;
        std::string peer; ///< the host's address; empty if the line is about all
    };

    /// \param total_bytes of the image. \param limit the number of hosts that are kept.
    fleet(std::int64_t total_bytes, fleet_settings wanted, std::size_t limit);

    /// Whether Seedbed targets that have not announced themselves can report, too.
    void set_takes_reports(bool takes) { m_takes_reports = takes; }
    void set_settings(fleet_settings wanted, std::size_t limit, clock::time_point now);
    [[nodiscard]] fleet_settings const& settings() const noexcept { return m_settings; }

    /// \param patience how long the host may be silent before it is lost.
    void on_announce(announcement const& said, clock::duration patience, clock::time_point now);
    /// \param peers all connected peers.
    void on_peers(std::vector<peer_status> const& peers, clock::time_point now);
    void on_report(host_report const& report, clock::time_point now);
    /// To be called every few seconds while is_moving().
    void on_tick(clock::time_point now);

    /// True while a host is in progress or a summary is due.
    [[nodiscard]] bool is_moving() const;
    /// The lines to log since the last call.
    [[nodiscard]] std::vector<line> take_lines();
    /// Whether a deployment has been completed since the last call.
    [[nodiscard]] bool take_completed();

    /// The hosts that are complete in this round; if addresses are expected, only these.
    [[nodiscard]] std::size_t complete() const;
    /// Nothing if no number is expected.
    [[nodiscard]] std::optional<std::size_t> expected() const;
    /// "192.0.2.17 61% at 3.1 MiB/s, 192.0.2.18 not seen": at most \p most of them, the worst first.
    [[nodiscard]] std::string stragglers(std::size_t most, clock::time_point now) const;
    /// The round, for displays. \param wall the wall-clock time of \p now.
    [[nodiscard]] fleet_status status(clock::time_point now, std::chrono::system_clock::time_point wall) const;

    /// The round as a JSON document: format, image, info_hash, expected, complete, started, duration and hosts, each
    /// with address, port, state, completed_at, seconds, bytes, and reason if it failed. Times are in UTC (RFC 3339),
    /// durations in seconds.
    [[nodiscard]] std::string document(std::string const& image, std::string const& info_hash, clock::time_point now,
                                       std::chrono::system_clock::time_point wall) const;

private:
    enum class state_kind : std::uint8_t {
        fetching,
        fetched, ///< has every piece, and will report when it is on the disk
        complete,
        failed,
        earlier ///< complete in an earlier round, or when it was first seen
    };
    struct host {
        std::vector<boost::asio::ip::address> addresses; ///< more than one if it has IPv4 and IPv6
        std::uint16_t port = 0;                          ///< on which it listens for peers; 0 while unknown
        std::string id;                                  ///< 20 bytes; empty while unknown
        state_kind state = state_kind::earlier;
        host_state proof = host_state::pieces; ///< complete: on what evidence
        std::string failure;                   ///< failed: why
        bool announced = false;
        bool connected = false;
        std::optional<clock::time_point> away; ///< when it was disconnected
        clock::duration patience{};
        clock::time_point seen{};
        clock::time_point started{};
        clock::time_point ended{};                ///< complete or failed
        std::optional<clock::time_point> stopped; ///< or was lost, before it was complete
        std::int64_t left = 0;
        std::int64_t fetched = 0; ///< bytes, by its own account
        clock::time_point measured{};
        std::int64_t measured_left = 0;
        double rate = 0;      ///< bytes a second, by its completed pieces
        double sent_rate = 0; ///< bytes a second, sent from here
    };

    [[nodiscard]] host* find(std::string const& id, boost::asio::ip::address const& where, std::uint16_t port);
    [[nodiscard]] host* only_one_at(boost::asio::ip::address const& where);
    [[nodiscard]] host* stale_one_at(boost::asio::ip::address const& where);
    host& add(boost::asio::ip::address const& where, std::uint16_t port);
    void start(host& which, std::int64_t left, clock::time_point now);
    void begin_round(host const& first, clock::time_point now);
    void measure(host& which, std::int64_t left, clock::time_point now);
    void on_all_pieces(host& which, clock::time_point now);
    void finish(host& which, host_state proof, clock::time_point at);
    void check_deployed(clock::time_point now);
    void lose(host& which, std::string text, clock::time_point now);
    void say(log_level level, std::string text, host const* about = nullptr);

    [[nodiscard]] bool is_expected(boost::asio::ip::address const& where) const;
    [[nodiscard]] bool is_expected(host const& which) const;
    [[nodiscard]] bool is_wanted(host const& which) const;
    [[nodiscard]] std::string name_of(host const& which) const;
    [[nodiscard]] static std::string name_of(host const& which, bool shared_address);
    [[nodiscard]] std::string count() const;
    [[nodiscard]] static host_state state_of(host const& which);
    [[nodiscard]] fleet_host tell(host const& which, clock::time_point now,
                                  std::chrono::system_clock::time_point wall) const;
    [[nodiscard]] std::string describe(host const& which, clock::time_point now) const;

    std::int64_t const m_total;
    fleet_settings m_settings;
    std::size_t m_limit;
    std::list<host> m_hosts;           ///< a list, for stable addresses
    std::set<std::string> m_looked_at; ///< ids of the peers at the last look
    std::vector<line> m_lines;
    std::optional<clock::time_point> m_first_start; ///< of this round
    clock::time_point m_round_began = clock::time_point::min();
    clock::time_point m_ended{}; ///< deployed: when the last one was complete
    clock::time_point m_summarised{};
    bool m_unsaid = false; ///< there is news since the last summary
    bool m_takes_reports = false;
    bool m_deployed = false;
    bool m_completed = false; ///< and not taken yet
};

} // namespace seedbed
