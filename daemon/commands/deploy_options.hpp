#pragma once

#include <chrono>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "config/ip_endpoint.hpp"
#include "config/settings.hpp"
#include "core/device/disk_rule.hpp"
#include "core/device/growth.hpp"
#include "core/foundation/error.hpp"
#include "daemon/commands/command_help.hpp"
#include "daemon/commands/peer_options.hpp"
#include "daemon/service/seed_until.hpp"
#include "daemon/service/torrent_source.hpp"

namespace seedbed {

/// The command line of `seedbed deploy`.
struct deploy_options : peer_options {
    image_settings image;          ///< device is absolute, and torrent if it is a file; has no name yet
    torrent_source source;         ///< of the .torrent
    std::optional<disk_rule> rule; ///< chooses the device, which is empty until then
    seed_limits seeding;
    growth grow;          ///< only for the packed image of a disk
    bool new_ids = false; ///< likewise
    bool discard = false; ///< only for a packed image
    std::optional<std::chrono::milliseconds> timeout;
    std::string receipt; ///< file to write the receipt to; empty: none
    bool yes = false;    ///< do not ask
    bool help = false;   ///< nothing else is set in this case
};

/// Parses and checks the command line. The error is one line.
[[nodiscard]] result<deploy_options> parse_deploy_options(std::vector<std::string> const& arguments);

[[nodiscard]] command_help deploy_help();

} // namespace seedbed
