#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// A range of a disk, or of a regular file, as a block device of its own, without a partition table: a loop device.
///
/// It shares the disk's page cache, and needs no exclusive access: a caller may keep the disk open exclusively. The
/// kernel removes it when this object and all programs have closed it, also after a crash. udev opens each new device
/// for a moment, so the destructor waits for that, for 5 s at most: until then, the disk counts as in use.
///
/// Threads: none concurrently; the destructor blocks.
class loop_view {
public:
    loop_view(loop_view&&) noexcept = default;
    loop_view& operator=(loop_view&&) = delete;
    loop_view(loop_view const&) = delete;
    loop_view& operator=(loop_view const&) = delete;
    ~loop_view();

    /// \param disk open for reading and writing. \param offset, size bytes; whole sectors. \param sector_size bytes.
    [[nodiscard]] static result<loop_view> make(int disk, std::int64_t offset, std::int64_t size,
                                                std::int32_t sector_size);

    /// In /dev.
    [[nodiscard]] std::string const& path() const noexcept { return m_path; }
    /// Makes everything that programs wrote to it durable on the disk.
    [[nodiscard]] result<void> flush() const;

private:
    loop_view(unique_fd fd, std::string path);

    unique_fd m_fd; ///< none if moved from
    std::string m_path;
    std::filesystem::path m_folder; ///< in sysfs
    std::string m_file;             ///< the disk, as the kernel names it
};

} // namespace seedbed
