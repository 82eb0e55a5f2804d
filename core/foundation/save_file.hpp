#pragma once

#include <filesystem>
#include <string_view>
#include <utility>

#include <sys/types.h>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// Whether save_file() would accept \p path, for a check before expensive work: fails if it exists (with \p replace, if
/// it is not a regular file), or if its folder is not writable.
[[nodiscard]] result<void> check_can_save(std::filesystem::path const& path, bool replace);

/// A new file that has another name in the folder of its final name until save(), and is removed if that never
/// succeeds.
///
/// Threads: confined to one; fd() may be used by others meanwhile.
class pending_file {
public:
    /// Creates the file. Fails as check_can_save() does, and if the file cannot be created.
    [[nodiscard]] static result<pending_file> create(std::filesystem::path const& path, bool replace,
                                                     mode_t mode = 0666);
    pending_file(pending_file&& other) noexcept = default;
    pending_file& operator=(pending_file&& other) = delete;
    ~pending_file();

    /// Open for writing.
    [[nodiscard]] int fd() const noexcept { return m_fd.get(); }
    /// The final name.
    [[nodiscard]] std::filesystem::path const& path() const noexcept { return m_path; }
    /// Flushes its bytes to the disk.
    [[nodiscard]] result<void> flush();
    /// Gives it its final name and makes that durable. Call flush() before. A failure in the last step leaves the
    /// complete file, but a power failure may remove it.
    [[nodiscard]] result<void> save();

private:
    pending_file(std::filesystem::path path, bool replace)
        : m_path(std::move(path))
        , m_replace(replace) {}

    std::filesystem::path m_path;
    std::filesystem::path m_temporary;
    bool m_replace;
    unique_fd m_fd;
};

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
