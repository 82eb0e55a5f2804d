#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

// Files that keep a program's state over restarts. Threads: any; the calls block.

/// Replaces \p path as save_file() does, readable by its owner only. Creates the folder if it is missing.
[[nodiscard]] result<void> save_state_file(std::filesystem::path const& path, std::string_view bytes);

/// The content of \p path; nothing if the file does not exist. Fails if it is larger than \p limit, in bytes.
[[nodiscard]] result<std::optional<std::string>> load_state_file(std::filesystem::path const& path, std::int64_t limit);

/// Reads \p fd, which may be a pipe, to its end, or until more than \p limit bytes have been read: the caller refuses
/// them. \param name for the error.
[[nodiscard]] result<std::string> read_to_end(int fd, std::string const& name, std::int64_t limit);

} // namespace seedbed
