#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// The errors of a configuration, one line each: "file:line: key: reason".
struct config_errors {
    std::vector<std::string> lines; ///< never empty
};

/// Reads \p file and then, by name, images.d/*.toml beside it, which may hold [[image]] only.
///
/// \param required false: if \p file is missing, the defaults apply; images.d is read nonetheless.
/// Relative paths start at the folder of the file that holds them. Reports every error: unknown keys, types, ranges,
/// duplicate names and devices. Opens no device.
[[nodiscard]] result<settings, config_errors> load_settings(std::filesystem::path const& file, bool required = true);

/// The same for a text, reported as \p name; for tests and fuzzing. No images.d.
[[nodiscard]] result<settings, config_errors> parse_settings(std::string const& text, std::string const& name);

/// Why the shards of \p network cannot listen, or nothing. Each uses a port of its own: those of listen, and the ones
/// that follow.
[[nodiscard]] std::optional<std::string> why_no_shards(network_settings const& network);

} // namespace seedbed
