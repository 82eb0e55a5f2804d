#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// The text of a configuration file: a regular file of at most 16 MiB. The error is one line "PATH: reason". Never
/// waits for a writer of a FIFO.
[[nodiscard]] result<std::string> read_config_file(std::filesystem::path const& path);

/// True if nothing has that name. A symbolic link to nothing is something: somebody meant a file to be there.
[[nodiscard]] bool is_missing(std::filesystem::path const& path);

/// The files that the shell would list as \p folder/*.toml, so none with a dot at the start, sorted by the bytes of
/// their names. Empty if there is no such folder.
[[nodiscard]] result<std::vector<std::filesystem::path>> list_toml_files(std::filesystem::path const& folder);

} // namespace seedbed
