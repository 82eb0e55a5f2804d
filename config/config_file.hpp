#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Reads the text of a configuration file: a regular file of at most 16 MiB. The error is one line "PATH: reason". Does
/// not block on a FIFO.
[[nodiscard]] result<std::string> read_config_file(std::filesystem::path const& path);

/// True if no file has that name. A dangling symbolic link counts as a file, because one is expected to exist.
[[nodiscard]] bool is_missing(std::filesystem::path const& path);

/// Lists the files that a shell expands \p folder/*.toml to (none that starts with a dot), sorted by the bytes of their
/// names. Empty if the folder does not exist.
[[nodiscard]] result<std::vector<std::filesystem::path>> list_toml_files(std::filesystem::path const& folder);

} // namespace seedbed
