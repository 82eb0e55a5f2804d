#pragma once

#include <filesystem>
#include <string_view>

#include <sys/types.h>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Whether save_file() would accept \p path, for a check before expensive work: fails if it exists (with \p replace, if
/// it is not a regular file), or if its folder is not writable.
[[nodiscard]] result<void> check_can_save(std::filesystem::path const& path, bool replace);

/// Writes a new file \p path (\p mode less the umask): first under another name in the same folder, then flushed to the
/// disk and renamed, so that \p path is never incomplete. An existing file is an error, even one that appears
/// meanwhile, unless \p replace is set; then a regular file, and nothing else, is replaced. A failure leaves nothing
/// behind, except in the last step: if the folder cannot be flushed, the complete file remains, but a power failure may
/// remove it.
[[nodiscard]] result<void> save_file(std::filesystem::path const& path, std::string_view bytes, bool replace,
                                     mode_t mode = 0666);

/// Writes all of \p bytes to \p fd. Returns false, with errno set, on failure.
[[nodiscard]] bool write_all(int fd, std::string_view bytes);
/// Makes the names in a folder durable. Returns false, with errno set, on failure.
[[nodiscard]] bool sync_folder(std::filesystem::path const& folder);

} // namespace seedbed
