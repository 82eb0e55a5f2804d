#pragma once

#include <string>
#include <vector>

#include "config/settings.hpp"

namespace seedbed {

/// A running image, as needed to plan a reload.
struct running_image {
    image_settings settings;
    bool failed = false;
    bool torrent_changed = false; ///< its .torrent file now has another info-hash
};

/// The steps that bring the daemon in line with the configuration. Images in none of the lists are left alone. The row
/// of a key states what a change requires (config_key::change).
struct reload_plan {
    std::vector<std::string> close;     ///< images to close: removed, or to be reopened
    std::vector<image_settings> open;   ///< images to open when those are closed: new, changed, or previously failed
    std::vector<image_settings> update; ///< images with changed keys that an open image can apply
    // Tables with a changed key that a running daemon can apply:
    bool network = false;
    bool resume = false;
    bool tracker = false;
    bool memory = false;
    bool hashing = false;
    bool control = false;  ///< control, metrics, web or history
    bool profiles = false; ///< one or more profiles
    bool log_level = false;
    bool machines = false;                  ///< the machines, or what others get
    std::vector<std::string> needs_restart; ///< changed keys that take effect at the next start, each once

    [[nodiscard]] bool empty() const noexcept {
        return close.empty() && open.empty() && update.empty() && !network && !resume && !tracker && !memory &&
               !hashing && !control && !profiles && !log_level && !machines && needs_restart.empty();
    }
};

/// Compares the running daemon with \p wanted. \param running the settings in force; its images are ignored.
[[nodiscard]] reload_plan plan_reload(settings const& running, std::vector<running_image> const& images,
                                      settings const& wanted);

} // namespace seedbed
