#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/growth.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/error.hpp"
#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// The command line of `seedbed restore`.
struct restore_command_options {
    std::string packed;  ///< the packed file
    std::string torrent; ///< by default the one beside it
    std::string device;
    std::string receipt; ///< empty: none
    std::optional<std::string> serial;
    std::optional<std::int64_t> size;
    std::optional<storage_class> profile;
    growth grow;          ///< only for the image of a disk
    bool new_ids = false; ///< likewise
    bool discard = false;
    bool allow_mismatch = false;
    bool wipe_signatures = true;
    bool verify = true;
    bool yes = false;
    bool help = false; ///< nothing else is set in this case
};

/// Parses and checks the command line. The error is one line.
[[nodiscard]] result<restore_command_options> parse_restore_options(std::vector<std::string> const& arguments);

[[nodiscard]] command_help restore_help();

} // namespace seedbed
