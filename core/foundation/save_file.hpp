#pragma once

#include <filesystem>
#include <string_view>

#include <sys/types.h>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Whether save_file() would refuse \p path, asked before much work is done for it: it exists, or its folder cannot
/// be written to.
[[nodiscard]] result<void> check_can_save(std::filesystem::path const& path, bool replace);

/// Writes a new file \p path (\p mode less the umask): under another name in the same folder first, then flushed to
/// the disk and renamed, so that \p path is never there in part. A file that is already there is an error, also one
/// that appears meanwhile, unless \p replace, which replaces a regular file and nothing else. Leaves nothing on
/// failure, but for the last step: where the folder cannot be flushed, the whole file is there, though a power cut may
/// undo that.
[[nodiscard]] result<void> save_file(std::filesystem::path const& path, std::string_view bytes, bool replace,
                                     mode_t mode = 0666);

/// Writes all of it to \p fd. False, with errno set, where that fails.
[[nodiscard]] bool write_all(int fd, std::string_view bytes);
/// Makes the names in a folder durable. False, with errno set, where that fails.
[[nodiscard]] bool sync_folder(std::filesystem::path const& folder);

} // namespace seedbed
