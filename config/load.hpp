#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// All that is wrong with a configuration, one line each: "file:line: key: reason".
struct config_errors {
    std::vector<std::string> lines; ///< never empty
};

/// Reads \p file and then, in the order of their names, images.d/*.toml beside it (these may hold [[image]] only).
///
/// \param required false: a missing \p file means the defaults, and images.d is still read.
/// Relative paths in a file are taken from that file's folder. Everything is checked before anything is returned:
/// unknown keys, types, ranges, duplicate names and devices. Opens no device.
[[nodiscard]] result<settings, config_errors> load_settings(std::filesystem::path const& file, bool required = true);

/// The same for a text, reported as \p name; for tests and fuzzing. No images.d.
[[nodiscard]] result<settings, config_errors> parse_settings(std::string const& text, std::string const& name);

/// Why as many shards as \p network says can not listen: each has a port of its own, that of the first one and so many
/// more. Nothing where they can.
[[nodiscard]] std::optional<std::string> why_no_shards(network_settings const& network);

} // namespace seedbed
