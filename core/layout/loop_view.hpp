#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// A range of a disk, or of a regular file, as a block device of its own, without a partition table: a loop device.
///
/// It shares the disk's page cache, and needs no exclusive access: a caller may keep the disk open exclusively. The
/// kernel removes it when this object and all programs have closed it, also after a crash. Threads: none concurrently.
class loop_view {
public:
    /// \param disk open for reading and writing. \param offset, size bytes; whole sectors. \param sector_size bytes.
    [[nodiscard]] static result<loop_view> make(int disk, std::int64_t offset, std::int64_t size,
                                                std::int32_t sector_size);

    /// In /dev.
    [[nodiscard]] std::string const& path() const noexcept { return m_path; }
    /// Makes everything that programs wrote to it durable on the disk.
    [[nodiscard]] result<void> flush() const;

private:
    loop_view(unique_fd fd, std::string path)
        : m_fd(std::move(fd))
        , m_path(std::move(path)) {}

    unique_fd m_fd;
    std::string m_path;
};

} // namespace seedbed
