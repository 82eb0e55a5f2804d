#pragma once

#include <string>
#include <vector>

#include "config/settings.hpp"

namespace seedbed {

/// An image as it runs when a reload looks at it.
struct running_image {
    image_settings settings;
    bool failed = false;
    bool torrent_changed = false; ///< its .torrent file describes another image now
};

/// What has to be done so that what runs is what the configuration says. Images that are in none of the lists are not
/// touched.
struct reload_plan {
    std::vector<std::string> close;     ///< images to close: removed, or to be opened again
    std::vector<image_settings> open;   ///< images to open when those are closed: new, changed, or failed before
    std::vector<image_settings> update; ///< images with keys that change while they run
    bool network = false;               ///< listeners, local discovery or limits
    bool resume = false;                ///< checkpoints
    bool tracker = false;               ///< its listeners, intervals or limits
    bool memory = false;                ///< sizes of pool and cache
    bool hashing = false;               ///< number of hash threads
    bool control = false;               ///< the control socket, or where metrics are served
    bool profiles = false;              ///< numbers of a profile
    bool log_level = false;
    std::vector<std::string> needs_restart; ///< keys that differ but cannot change in a running daemon

    [[nodiscard]] bool empty() const noexcept {
        return close.empty() && open.empty() && update.empty() && !network && !resume && !tracker && !memory &&
               !hashing && !control && !profiles && !log_level && needs_restart.empty();
    }
};

/// Compares what runs with what is wanted. \param running the settings in force, of which images are not looked at.
[[nodiscard]] reload_plan plan_reload(settings const& running, std::vector<running_image> const& images,
                                      settings const& wanted);

} // namespace seedbed
