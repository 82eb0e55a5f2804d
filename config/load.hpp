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

/// Reads \p file and then, sorted by name, images.d/*.toml beside it, which may contain only [[image]].
///
/// \param required if false and \p file is missing, the defaults apply; images.d is still read. Relative paths start at
/// the folder of the file that contains them. Reports every error: unknown keys, types, ranges, duplicate names and
/// devices. Opens no device.
[[nodiscard]] result<settings, config_errors> load_settings(std::filesystem::path const& file, bool required = true);

/// The same for a text, which errors call \p name; for tests and fuzzing. No images.d.
[[nodiscard]] result<settings, config_errors> parse_settings(std::string const& text, std::string const& name);

/// Why the shards of \p network cannot listen, or nothing. Each shard needs its own port: the ports in `listen`, and
/// those that follow.
[[nodiscard]] std::optional<std::string> why_no_shards(network_settings const& network);

} // namespace seedbed
