#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/swarm/shard_placement.hpp"
#include "daemon/swarm/torrent_listener.hpp"

namespace seedbed {

/// Merges the progress of one torrent in several sessions. Rates, counters and peers are added; for the check and the
/// pieces present, the session that is furthest behind counts. \param parts at least one.
[[nodiscard]] torrent_progress merge_progress(std::vector<torrent_progress> const& parts);

/// One torrent in one or several sessions. Merges the events of the sessions into those of one torrent.
///
/// Lives in a std::shared_ptr. Threads: confined to the main thread.
class sharded_torrent : public std::enable_shared_from_this<sharded_torrent> {
public:
    /// \param sessions that have the torrent, at least 1. \param on_part_removed called when one of them no longer has
    /// it; may release the owner's reference to this object.
    sharded_torrent(std::string name, torrent_listener& listener, int sessions, std::function<void()> on_part_removed);
    sharded_torrent(sharded_torrent const&) = delete;
    sharded_torrent& operator=(sharded_torrent const&) = delete;
    ~sharded_torrent();

    [[nodiscard]] std::string const& name() const noexcept { return m_name; }
    [[nodiscard]] torrent_listener& listener() const noexcept { return *m_listener; }
    /// Receives the events of session number \p session.
    [[nodiscard]] torrent_listener& part(std::size_t session) const;
    [[nodiscard]] std::size_t parts() const noexcept { return m_parts.size(); }
    /// Whether a session still has the torrent; false if \p session is parts() or more.
    [[nodiscard]] bool is_in(std::size_t session) const noexcept;
    [[nodiscard]] bool is_in_any() const noexcept;
    /// The number of peers in each of the sessions.
    [[nodiscard]] std::vector<int> peers() const;

    std::shared_ptr<shard_placement> places; ///< null if one session has the torrent
    std::int64_t upload_limit = 0;           ///< bytes per second in all sessions together; 0: no limit
    bool removing = false;

private:
    class session_part;

    void report_progress() const;

    std::string m_name;
    torrent_listener* m_listener;
    std::function<void()> m_on_part_removed;
    std::vector<std::unique_ptr<session_part>> m_parts;
    // Events that every session may report and that count only once.
    bool m_checked = false;
    bool m_complete = false;
    bool m_differs = false;
};

} // namespace seedbed
