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

/// Reads \p file and then, sorted by name, images.d/*.toml and machines.d/*.toml beside it, which may contain only
/// [[image]] and [[machine]].
///
/// \param required if false and \p file is missing, the defaults apply; the folders are still read. Relative paths
/// start at the folder of the file that contains them. Reports every error: unknown keys, types, ranges, duplicate
/// names and devices. Opens no device.
[[nodiscard]] result<settings, config_errors> load_settings(std::filesystem::path const& file, bool required = true);

/// The configuration that results if \p text becomes the content of \p written, a file in machines.d; that file is not
/// read. Errors in \p text call it \p name. Otherwise as load_settings().
[[nodiscard]] result<settings, config_errors> check_machine_file(std::filesystem::path const& file, bool required,
                                                                 std::filesystem::path const& written,
                                                                 std::string const& text,
                                                                 std::filesystem::path const& name);

/// A file of images.d as it would be.
struct config_change {
    std::filesystem::path path;
    std::optional<std::string> text; ///< nothing: without the file
};

/// The configuration that results from a change of images.d, which is not made. Otherwise as load_settings().
[[nodiscard]] result<settings, config_errors> load_changed_settings(std::filesystem::path const& file, bool required,
                                                                    config_change const& change);

/// The folder of the configuration \p file for more images.
[[nodiscard]] std::filesystem::path images_folder(std::filesystem::path const& file);

/// The same for a text, which errors call \p name; for tests and fuzzing. No folders.
[[nodiscard]] result<settings, config_errors> parse_settings(std::string const& text, std::string const& name);

/// Why the shards of \p network cannot listen, or nothing. Each shard needs its own port: the ports in `listen`, and
/// those that follow.
[[nodiscard]] std::optional<std::string> why_no_shards(network_settings const& network);

} // namespace seedbed
