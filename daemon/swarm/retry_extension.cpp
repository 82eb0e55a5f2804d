#include "daemon/swarm/retry_extension.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

#include <libtorrent/announce_entry.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/time.hpp>
#include <libtorrent/torrent_handle.hpp>

namespace seedbed {

namespace lt = libtorrent;

namespace {

constexpr lt::seconds32 longest_pause{30};
constexpr int most_doublings = 5; ///< to more than longest_pause

struct unreachable_tracker {
    int failures = 0; ///< in a row
    lt::time_point32 next_announce;
};

/// Nothing if the tracker answers, has not been asked yet, or is being asked.
std::optional<unreachable_tracker> find_failure(lt::announce_entry const& tracker) {
    std::optional<unreachable_tracker> found;
    for (auto const& endpoint : tracker.endpoints) {
        for (auto const& announce : endpoint.info_hashes) {
            auto const answers = announce.fails == 0 ? bool{announce.start_sent} : !announce.message.empty();
            if (answers || announce.updating) {
                return std::nullopt;
            }
            if (endpoint.enabled && announce.fails > 0 && (!found || announce.next_announce < found->next_announce)) {
                found = {announce.fails, announce.next_announce};
            }
        }
    }
    return found;
}

class retrying_torrent final : public lt::torrent_plugin {
public:
    explicit retrying_torrent(lt::torrent_handle of)
        : m_torrent(std::move(of)) {}

    /// Called once a second.
    void tick() override {
        auto const now = lt::time_point_cast<lt::seconds32>(lt::clock_type::now());
        auto const trackers = m_torrent.trackers(); // does not wait: this is the network thread
        for (std::size_t i = 0; i < trackers.size(); ++i) {
            auto const failure = find_failure(trackers[i]);
            if (!failure) {
                continue;
            }
            auto const pause =
                std::min(lt::seconds32{1 << std::min(failure->failures - 1, most_doublings)}, longest_pause);
            if (failure->next_announce > now + pause) {
                // libtorrent adds a second.
                m_torrent.force_reannounce(static_cast<int>(pause.count()) - 1, static_cast<int>(i),
                                           lt::torrent_handle::ignore_min_interval);
            }
        }
    }

private:
    lt::torrent_handle const m_torrent;
};

} // namespace

std::shared_ptr<lt::torrent_plugin> make_retry_extension(lt::torrent_handle const& of) {
    return std::make_shared<retrying_torrent>(of);
}

} // namespace seedbed
