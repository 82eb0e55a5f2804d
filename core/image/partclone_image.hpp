#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/byte_source.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// The header of an image that partclone wrote; see seedbed-partclone(7).
struct partclone_header {
    /// How the blocks are protected.
    enum class checksum : std::uint8_t {
        none,
        crc32,
        xxh64,
        xxh128,
        crc32_v1 ///< of version 1: covers the first byte of each block only
    };

    int version = 0;             ///< of the format: 1 or 2
    std::string file_system;     ///< partclone's name: "EXTFS", "NTFS", "raw"; printable
    std::int64_t block_size = 0; ///< bytes, a multiple of 512
    std::int64_t blocks = 0;     ///< of the file system
    checksum protection = checksum::none;
    std::uint32_t strip = 0;  ///< blocks that one checksum covers; 0 without checksums
    bool fresh_strips = true; ///< a checksum covers its strip only, not all that come before it
};

/// Reads an image in partclone's own format from a stream: the used blocks of one file system.
///
/// It trusts nothing: every field is checked before it is used, every checksum is compared, memory grows only with
/// bytes that were read, and the stream must end where the image does. Threads: one.
class partclone_image {
public:
    /// A run of bytes of the file system.
    struct run {
        std::int64_t offset = 0; ///< bytes from the start of the file system
        std::size_t length = 0;  ///< bytes
    };

    /// Reads header and bitmap. \param source must outlive the image. The error is one line "NAME: reason".
    [[nodiscard]] static result<partclone_image> open(byte_source& source);

    partclone_image(partclone_image&&) noexcept;
    partclone_image& operator=(partclone_image&&) noexcept;
    ~partclone_image();

    [[nodiscard]] partclone_header const& header() const noexcept { return m_header; }
    /// The used blocks, adjacent ones joined, ascending.
    [[nodiscard]] std::vector<extent> const& used() const noexcept { return m_used; }
    /// Their sum, in bytes.
    [[nodiscard]] std::int64_t used_bytes() const noexcept { return m_used_bytes; }
    /// The file system's size in bytes; the device may be larger.
    [[nodiscard]] std::int64_t size() const noexcept { return m_header.block_size * m_header.blocks; }

    /// Fills \p buffer from its start with the next used bytes, of one extent; nothing at the end. A checksum follows
    /// the bytes that it covers, so the bytes of a run are known to be right only when the end has been reached. After
    /// an error, do not call it again.
    [[nodiscard]] result<std::optional<run>> next(std::span<std::byte> buffer);

private:
    class strip_checksum;

    explicit partclone_image(byte_source& source);

    result<void> read_header();
    result<void> read_header_v1(std::span<std::byte const> start);
    result<void> read_header_v2(std::span<std::byte const> start);
    result<void> read_bitmap();
    result<void> read_exactly(std::span<std::byte> buffer, char const* what);
    result<void> add_used(std::int64_t first_block, std::int64_t count);
    result<void> end_strip();
    result<void> end_image();
    [[nodiscard]] tl::unexpected<error> refuse(std::string const& reason) const;

    byte_source* m_source;
    partclone_header m_header;
    int m_bitmap_mode = 0;
    std::int64_t m_stated_blocks = -1; ///< used blocks by the header, if its writer counted its bitmap; otherwise -1
    std::vector<extent> m_used;
    std::int64_t m_used_bytes = 0;
    std::size_t m_extent = 0;    ///< that next() reads
    std::int64_t m_done = 0;     ///< bytes of it
    std::int64_t m_in_strip = 0; ///< bytes since the last checksum
    std::int64_t m_position = 0; ///< bytes read of the stream
    bool m_ended = false;
    std::unique_ptr<strip_checksum> m_checksum;
};

} // namespace seedbed
