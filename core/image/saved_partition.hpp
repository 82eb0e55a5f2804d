#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device/disk_content.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/image/byte_source.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/partclone_image.hpp"

namespace seedbed {

/// A partition in files that partclone wrote, packed or not, and split or not; read once, in order.
///
/// It keeps the few bytes by which libblkid recognises the content. Threads: one at a time.
class saved_partition {
public:
    /// A partclone image: the used blocks of a file system. Reads its header and its bitmap. \param files as for
    /// open_unpacked(). The error is one line that names the first file.
    [[nodiscard]] static result<saved_partition> open_image(std::vector<std::filesystem::path> const& files);
    /// All bytes of a partition, as partclone.dd writes them. \param size of the partition, bytes: other files are
    /// refused when they are read.
    [[nodiscard]] static result<saved_partition> open_bytes(std::vector<std::filesystem::path> const& files,
                                                            std::int64_t size);

    /// The first file, for messages.
    [[nodiscard]] std::string const& name() const noexcept { return m_source->name(); }
    /// Of the file system, or of all bytes.
    [[nodiscard]] std::int64_t size() const noexcept { return m_image ? m_image->size() : m_size; }
    /// Bytes from the start of the partition: ascending, adjacent ones joined.
    [[nodiscard]] std::vector<extent> const& used() const noexcept { return m_image ? m_image->used() : m_all; }
    /// The unit of used(); 0 if it is all bytes.
    [[nodiscard]] std::int64_t block_size() const noexcept { return m_image ? m_image->header().block_size : 0; }

    /// Reads used bytes: they follow those of the last call, without a gap in used(). After an error, do not call it
    /// again.
    [[nodiscard]] result<void> read(std::int64_t offset, std::span<std::byte> buffer);
    /// After all used bytes: fails unless the files end here, with the right checksums, and the programs that unpack
    /// them have succeeded.
    [[nodiscard]] result<void> finish();

    /// What libblkid recognises. Call it after finish().
    [[nodiscard]] result<disk_content> content() const;
    /// The first bytes, see source_head; unused ones are zeros. Call it after finish().
    [[nodiscard]] std::string head() const;

private:
    saved_partition() = default;

    [[nodiscard]] static result<saved_partition> open(std::vector<std::filesystem::path> const& files);
    /// Makes the file for keep(), empty.
    [[nodiscard]] result<void> start_keeping();
    [[nodiscard]] result<void> read_next(std::int64_t offset, std::span<std::byte> buffer);
    [[nodiscard]] result<void> keep(std::int64_t offset, std::span<std::byte const> bytes);
    [[nodiscard]] tl::unexpected<error> refuse(std::string const& reason) const;

    std::unique_ptr<byte_source> m_source;
    std::optional<partclone_image> m_image; ///< reads m_source; nothing: all bytes
    std::int64_t m_size = 0;                ///< of all bytes
    std::vector<extent> m_all;              ///< the same
    std::int64_t m_position = 0;            ///< bytes read, if all
    unique_fd m_kept;                       ///< a sparse file in memory of size(), with the kept bytes
    std::vector<extent> m_to_keep;
};

} // namespace seedbed
