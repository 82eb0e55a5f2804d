#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/image/packed_capture.hpp"
#include "core/image/saved_partition.hpp"

namespace seedbed {

/// A disk, or one partition, whose bytes come from files that partclone wrote: for pack_source(), which reads it once.
///
/// It can be read in ascending order only, one request at a time; that is what the profile() is for. Threads: one at a
/// time.
class saved_disk final : public block_device {
public:
    /// \param path for messages. \param size bytes.
    saved_disk(std::string path, std::int64_t size)
        : m_path(std::move(path))
        , m_size(size) {}

    /// Adds bytes after all that were added before. \param start offset on the disk, bytes.
    void add(std::int64_t start, std::string bytes);
    void add(std::int64_t start, saved_partition partition);

    /// Everything that was added, in whole sectors; only the used bytes of partitions.
    [[nodiscard]] std::vector<packed_range> ranges(std::int32_t sector_size) const;
    /// One reader, in the order of arrival.
    [[nodiscard]] static io_profile profile();
    /// After all ranges have been read: fails unless every partition's files end there, with the right checksums.
    [[nodiscard]] result<void> finish();
    /// Why a read has failed, in one line; an io_error has no room for it.
    [[nodiscard]] std::optional<error> const& failure() const noexcept { return m_failure; }
    /// The partition that begins there; nullptr if none was added.
    [[nodiscard]] saved_partition const* partition_at(std::int64_t start) const noexcept;

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_size; }
    [[nodiscard]] bool read_only() const noexcept override { return true; }
    /// Fails with EIO for whatever failure() says.
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override;
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override;
    /// Fails with EROFS.
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override;
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] result<void, io_error> flush() override { return {}; }

private:
    struct part {
        std::int64_t start = 0;
        std::string bytes = {};
        std::optional<saved_partition> partition = {}; ///< nothing: bytes

        [[nodiscard]] std::int64_t end() const noexcept {
            return start + (partition ? partition->size() : static_cast<std::int64_t>(bytes.size()));
        }
    };

    [[nodiscard]] result<void> read_parts(std::int64_t offset, std::span<std::byte> buffer);
    [[nodiscard]] result<void> finish_part();
    [[nodiscard]] tl::unexpected<io_error> refuse_write(std::int64_t offset) const;

    std::string m_path;
    std::int64_t m_size;
    std::vector<part> m_parts;
    std::size_t m_current = 0; ///< part that is being read
    std::optional<error> m_failure;
};

} // namespace seedbed
