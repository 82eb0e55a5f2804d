#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "config/settings.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/fleet_status.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/host_table.hpp"
#include "daemon/fleet/saved_fleet.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/log/line_limit.hpp"
#include "daemon/swarm/peer_status.hpp"

namespace seedbed {

/// The hosts that download an image, their progress, and the completion of the deployment.
///
/// A host is a client that has announced itself to the tracker or is connected as a peer. host_table recognises hosts,
/// and counts addresses rather than clients. Announces, peers and reports are attributed to the address that they come
/// from, whatever peer id they contain. libtorrent uses a different id on each connection than in its announces, so a
/// host with IPv4 and IPv6 may look like two. A host known only as a peer is therefore counted only by its IPv4
/// address, or if its address is expected. A host is complete
///
///   - if it is Seedbed and can report: when it has reported that the image is on its disk, verified or at least
///     flushed;
///   - otherwise, when it has every piece, according to the tracker's "completed" or left=0, or to its bitfield. The
///     state of its disk is then unknown, and the log says "has all pieces".
///
/// A host that has every piece when it is first seen is a seed and not counted, unless its address is expected or it
/// reports. A round ends when all expected hosts are complete; the first host that starts after that begins the next
/// round, in which no host is complete yet. A host that restarts within a round is incomplete again. A host that fails,
/// stops or disappears is named but never counted.
///
/// Outsiders can cause lines: a burst of each kind is written, then four a second. The number of omitted lines is
/// logged.
///
/// Threads: one at a time.
class fleet {
public:
    using clock = std::chrono::steady_clock;

    /// A line for the log.
    struct line {
        log_level level = log_level::info;
        std::string text;
        std::string peer; ///< the host's address; empty if the line is about all hosts
    };

    /// \param total_bytes of the image. \param limit the maximum number of hosts kept.
    fleet(std::int64_t total_bytes, fleet_settings wanted, std::size_t limit);

    /// Whether Seedbed targets that have not announced themselves can report as well.
    void set_takes_reports(bool takes) { m_takes_reports = takes; }
    /// Whether only reports make a host complete, because other information can come from anyone.
    void set_reports_only(bool only) { m_reports_only = only; }
    void set_settings(fleet_settings wanted, std::size_t limit, clock::time_point now);
    [[nodiscard]] fleet_settings const& settings() const noexcept { return m_settings; }

    /// \param patience how long the host may be silent before it counts as lost.
    void on_announce(announcement const& said, clock::duration patience, clock::time_point now);
    /// \param peers all connected peers.
    void on_peers(std::vector<peer_status> const& peers, clock::time_point now);
    void on_report(host_report const& report, clock::time_point now);
    /// Must be called every few seconds while is_moving().
    void on_tick(clock::time_point now);

    /// Whether a host is in progress or a summary is due.
    [[nodiscard]] bool is_moving() const;
    /// The lines to log since the last call.
    [[nodiscard]] std::vector<line> take_lines();
    /// Whether a deployment has been completed since the last call.
    [[nodiscard]] bool take_completed();

    /// The number of hosts that are complete in this round; if addresses are expected, only those.
    [[nodiscard]] std::size_t complete() const;
    /// Nothing if no number is expected.
    [[nodiscard]] std::optional<std::size_t> expected() const;
    /// "192.0.2.17 61% at 3.1 MiB/s, 192.0.2.18 not seen": at most \p most of them, the worst first.
    [[nodiscard]] std::string stragglers(std::size_t most, clock::time_point now) const;
    /// The round, for displays. \param wall the wall-clock time of \p now.
    [[nodiscard]] fleet_status status(clock::time_point now, std::chrono::system_clock::time_point wall) const;

    /// The round for begin_restore(). \param wall the wall-clock time of \p now.
    [[nodiscard]] saved_fleet record(clock::time_point now, std::chrono::system_clock::time_point wall) const;
    /// Begins to restore a round, which restore_some() continues: thousands of hosts would block the thread for too
    /// long. Until the end, no deployment is complete.
    void begin_restore(std::shared_ptr<saved_fleet const> saved, clock::time_point now,
                       std::chrono::system_clock::time_point wall);
    /// Restores the next hosts, at most \p most. Hosts that have been heard from are left unchanged. A deployment that
    /// was already complete does not count as completed again. \return whether hosts remain.
    [[nodiscard]] bool restore_some(std::size_t most);
    [[nodiscard]] bool is_restoring() const noexcept { return m_restoring.has_value(); }
    /// Whether the record has changed since the last call.
    [[nodiscard]] bool take_changed() { return std::exchange(m_changed, false); }

    /// The round as a JSON document: format, image, info_hash, expected, complete, started, duration and hosts, each
    /// with address, port, state, completed_at, seconds, bytes, and reason if it failed. Times are in UTC (RFC 3339),
    /// durations in seconds.
    [[nodiscard]] std::string document(std::string const& image, info_hash const& hash, clock::time_point now,
                                       std::chrono::system_clock::time_point wall) const;

private:
    /// Times of the steady clock as milliseconds since 1970, and back.
    struct time_base {
        clock::time_point now;
        std::chrono::system_clock::time_point wall;

        [[nodiscard]] std::int64_t write(clock::time_point time) const;
        /// Never later than now, even if the wall clock has been set.
        [[nodiscard]] clock::time_point read(std::int64_t time) const;
    };
    struct restoration {
        std::shared_ptr<saved_fleet const> saved;
        time_base times;
        std::size_t next; ///< host
    };
    void restore_host(saved_fleet::host const& saved, time_base const& times);
    void start(known_host& which, std::int64_t left, clock::time_point now);
    void begin_round(known_host const& first, clock::time_point now);
    void measure(known_host& which, std::int64_t left, clock::time_point now);
    void on_all_pieces(known_host& which, clock::time_point now);
    void finish(known_host& which, host_state proof, clock::time_point at);
    void check_deployed(clock::time_point now);
    void on_peer(peer_status const& peer, boost::asio::ip::address const& where, std::string const& id, bool is_target,
                 clock::time_point now);
    void on_failure(known_host& which, host_report const& report, clock::time_point now);
    void lose(known_host& which, std::string text, clock::time_point now);
    /// The subject of a line. Each kind except the last has its own limit.
    enum class line_kind : std::uint8_t { complete, failed, stopped, restarted, fleet };
    void say(line_kind kind, clock::time_point now, std::string text, known_host const* about = nullptr);
    void say_left_out(line_kind kind, clock::time_point now);

    [[nodiscard]] bool is_wanted(known_host const& which) const;
    [[nodiscard]] std::string name_of(known_host const& which) const;
    [[nodiscard]] static std::string name_of(known_host const& which, bool shared_address);
    [[nodiscard]] std::string count() const;
    [[nodiscard]] static host_state state_of(known_host const& which);
    [[nodiscard]] fleet_host tell(known_host const& which, clock::time_point now,
                                  std::chrono::system_clock::time_point wall) const;
    void add_host(fleet_status& told, known_host const& which, clock::time_point now,
                  std::chrono::system_clock::time_point wall) const;
    /// Adds the expected hosts that have not been seen.
    void add_missing(fleet_status& told) const;
    [[nodiscard]] std::string describe(known_host const& which, clock::time_point now) const;

    std::int64_t const m_total;
    fleet_settings m_settings;
    host_table m_hosts;
    std::optional<restoration> m_restoring;
    std::set<std::string> m_looked_at; ///< ids of the peers at the last look
    std::uint64_t m_look = 0;          ///< number of the last look at the peers
    std::vector<line> m_lines;
    std::array<line_limit, 4> m_line_limits;        ///< by line_kind
    std::optional<clock::time_point> m_first_start; ///< of this round
    clock::time_point m_round_began = clock::time_point::min();
    clock::time_point m_ended{}; ///< deployed: when the last one was complete
    clock::time_point m_summarised{};
    bool m_unsaid = false; ///< there is news since the last summary
    bool m_takes_reports = false;
    bool m_reports_only = false;
    bool m_deployed = false;
    bool m_completed = false; ///< a deployment was completed, not reported by take_completed() yet
    bool m_changed = false;   ///< the record has changed, not reported by take_changed() yet
};

} // namespace seedbed
