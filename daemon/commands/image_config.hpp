#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daemon/service/exit_code.hpp"

namespace seedbed {

/// The configuration that a command changes.
struct config_location {
    std::filesystem::path file;
    bool required = false; ///< whether it must exist
};

/// The configuration that --config names; empty: the default one.
[[nodiscard]] config_location locate_config(std::string const& config);

struct image_change {
    exit_code code = exit_ok;
    std::vector<std::string> lines; ///< what has happened, or why it failed
};

/// An image to be served.
struct image_to_add {
    std::string name;
    std::string torrent; ///< absolute path
    std::string device;  ///< absolute path; empty: the packed file that lies beside the .torrent
};

/// Whether the name can be added, for a check before long work: it is valid, not in use, and its file can be written.
[[nodiscard]] image_change check_new_name(config_location const& config, std::string const& name);

/// Adds an image to the configuration, as images.d/NAME.toml, and has the daemon reload. First checks everything that
/// `seedbed daemon --check-config` checks. If the daemon refuses the configuration, or the image fails in it, the file
/// is removed again. Blocks.
[[nodiscard]] image_change add_image(config_location const& config, image_to_add image);

/// Removes an image that add_image() has added, and has the daemon reload. Blocks.
[[nodiscard]] image_change remove_image(config_location const& config, std::string const& name);

} // namespace seedbed
