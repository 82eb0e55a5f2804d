#include "core/image/partclone_image.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include <xxhash.h>
#include <zlib.h>

#include "core/image/little_endian.hpp"

namespace seedbed {

namespace {

using check = partclone_header::checksum;

constexpr std::string_view image_magic = "partclone-image";
constexpr std::string_view bitmap_magic = "BiTmAgIc";
constexpr std::size_t v2_header_size = 110;
constexpr std::size_t v1_header_size = 4160;
constexpr std::uint16_t little_endian_mark = 0xc0de;
constexpr std::uint32_t v2_features_size = 18;
constexpr std::int64_t largest_block = 64 << 20; ///< partclone's own limit
/// Of a file system: at 4 KiB a block 128 TiB, whose bitmap has 4 GiB.
constexpr std::int64_t most_blocks = std::int64_t{1} << 35;
constexpr std::int64_t largest_file_system = std::int64_t{1} << 60;
/// 256 MiB of memory.
constexpr std::size_t most_runs = 16 << 20;
constexpr std::size_t bitmap_buffer = 64 << 10;

// Values of fields.
constexpr int bitmap_none = 0;
constexpr int bitmap_bits = 1;
constexpr int bitmap_bytes = 8;

struct checksum_code {
    std::uint16_t code;
    check kind;
    std::uint16_t size; ///< bytes
};
constexpr std::array<checksum_code, 4> checksum_codes{
    {{0x00, check::none, 0}, {0x20, check::crc32, 4}, {0x30, check::xxh64, 8}, {0x31, check::xxh128, 16}}};

/// The text of a field that NUL ends; nothing if it holds other than printable ASCII, or bytes after the NUL.
std::optional<std::string> text_field(std::span<std::byte const> bytes) {
    std::string_view const all(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    auto const text = all.substr(0, all.find('\0'));
    bool const printable = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
    return printable && !text.empty() ? std::optional(std::string(text)) : std::nullopt;
}

/// partclone's CRC-32 is zlib's without the inversion at the end.
std::uint32_t partclone_crc(std::span<std::byte const> bytes) {
    return ~static_cast<std::uint32_t>(
        ::crc32_z(0, reinterpret_cast<unsigned char const*>(bytes.data()), bytes.size()));
}

struct free_xxh64 {
    void operator()(XXH64_state_t* state) const noexcept { ::XXH64_freeState(state); }
};
struct free_xxh3 {
    void operator()(XXH3_state_t* state) const noexcept { ::XXH3_freeState(state); }
};

} // namespace

/// The running checksum of the blocks.
class partclone_image::strip_checksum {
public:
    static constexpr std::size_t largest = 16;

    explicit strip_checksum(check kind)
        : m_kind(kind)
        , m_xxh64(kind == check::xxh64 ? ::XXH64_createState() : nullptr)
        , m_xxh128(kind == check::xxh128 ? ::XXH3_createState() : nullptr) {
        restart();
    }

    /// \return false if there is no memory.
    [[nodiscard]] bool usable() const {
        return (m_kind != check::xxh64 || m_xxh64) && (m_kind != check::xxh128 || m_xxh128);
    }

    void restart() {
        m_crc = 0;
        m_old_crc = 0xffffffff;
        if (m_xxh64) {
            ::XXH64_reset(m_xxh64.get(), 0);
        }
        if (m_xxh128) {
            ::XXH3_128bits_reset(m_xxh128.get());
        }
    }

    /// \param position bytes of the block that came before. \param block_length of version 1, which needs it.
    void add(std::span<std::byte const> bytes, std::int64_t position, std::int64_t block_length) {
        switch (m_kind) {
        case check::none:
            break;
        case check::crc32:
            m_crc = ::crc32_z(m_crc, reinterpret_cast<unsigned char const*>(bytes.data()), bytes.size());
            break;
        case check::xxh64:
            ::XXH64_update(m_xxh64.get(), bytes.data(), bytes.size());
            break;
        case check::xxh128:
            ::XXH3_128bits_update(m_xxh128.get(), bytes.data(), bytes.size());
            break;
        case check::crc32_v1:
            if (position == 0) {
                add_old(bytes.front(), block_length);
            }
            break;
        }
    }

    /// As in the image. \return the number of bytes.
    std::size_t digest(std::array<std::byte, largest>& bytes) const {
        std::string text;
        if (m_kind == check::crc32) {
            append_little_endian(text, ~static_cast<std::uint32_t>(m_crc));
        } else if (m_kind == check::crc32_v1) {
            append_little_endian(text, m_old_crc);
        } else if (m_kind == check::xxh64) {
            append_little_endian(text, std::uint64_t{::XXH64_digest(m_xxh64.get())});
        } else if (m_kind == check::xxh128) {
            auto const both = ::XXH3_128bits_digest(m_xxh128.get());
            append_little_endian(text, std::uint64_t{both.low64});
            append_little_endian(text, std::uint64_t{both.high64});
        }
        std::memcpy(bytes.data(), text.data(), text.size());
        return text.size();
    }

private:
    /// Version 1 takes the first byte of a block as often as the block has bytes.
    void add_old(std::byte first, std::int64_t block_length) {
        std::array<unsigned char, 4096> same{};
        same.fill(std::to_integer<unsigned char>(first));
        // zlib's state is the inverse of this one.
        auto state = static_cast<::uLong>(static_cast<std::uint32_t>(~m_old_crc));
        for (auto rest = block_length; rest > 0; rest -= static_cast<std::int64_t>(same.size())) {
            auto const part = std::min(rest, static_cast<std::int64_t>(same.size()));
            state = ::crc32_z(state, same.data(), static_cast<std::size_t>(part));
        }
        m_old_crc = ~static_cast<std::uint32_t>(state);
    }

    check m_kind;
    ::uLong m_crc = 0;
    std::uint32_t m_old_crc = 0xffffffff;
    std::unique_ptr<XXH64_state_t, free_xxh64> m_xxh64;
    std::unique_ptr<XXH3_state_t, free_xxh3> m_xxh128;
};

partclone_image::partclone_image(byte_source& source)
    : m_source(&source) {}
partclone_image::partclone_image(partclone_image&&) noexcept = default;
partclone_image& partclone_image::operator=(partclone_image&&) noexcept = default;
partclone_image::~partclone_image() = default;

tl::unexpected<error> partclone_image::refuse(std::string const& reason) const {
    return tl::unexpected(error{m_source->name() + ": " + reason});
}

result<partclone_image> partclone_image::open(byte_source& source) {
    partclone_image image(source);
    if (auto const header = image.read_header(); !header) {
        return tl::unexpected(header.error());
    }
    if (auto const bitmap = image.read_bitmap(); !bitmap) {
        return tl::unexpected(bitmap.error());
    }
    image.m_checksum = std::make_unique<strip_checksum>(image.m_header.protection);
    if (!image.m_checksum->usable()) {
        return image.refuse("not enough memory");
    }
    return image;
}

result<void> partclone_image::read_exactly(std::span<std::byte> buffer, char const* what) {
    while (!buffer.empty()) {
        auto const got = m_source->read(buffer);
        if (!got) {
            return tl::unexpected(got.error());
        }
        if (*got == 0) {
            return refuse("the image ends within " + std::string(what) + ", after " + std::to_string(m_position) +
                          " bytes");
        }
        m_position += static_cast<std::int64_t>(*got);
        buffer = buffer.subspan(*got);
    }
    return {};
}

result<void> partclone_image::read_header() {
    std::array<std::byte, v2_header_size> start{};
    if (auto read = read_exactly(start, "its header"); !read) {
        return read;
    }
    std::string_view const text(reinterpret_cast<char const*>(start.data()), start.size());
    if (!text.starts_with(image_magic)) {
        return refuse("not a partclone image");
    }
    auto const version = text.substr(30, 4);
    auto header = version == "0002"   ? read_header_v2(start)
                  : version == "0001" ? read_header_v1(start)
                                      : refuse("a partclone image of a version other than 1 and 2");
    if (!header) {
        return header;
    }
    if (m_header.block_size < 512 || m_header.block_size > largest_block || m_header.block_size % 512 != 0) {
        return refuse("a block size of " + std::to_string(m_header.block_size));
    }
    if (m_header.blocks < 1 || m_header.blocks > most_blocks ||
        m_header.blocks > largest_file_system / m_header.block_size) {
        return refuse("a file system of " + std::to_string(m_header.blocks) + " blocks");
    }
    return {};
}

result<void> partclone_image::read_header_v1(std::span<std::byte const> start) {
    auto const file_system = text_field(start.subspan(15, 15));
    if (!file_system) {
        return refuse("the name of its file system is not text");
    }
    m_header.version = 1;
    m_header.file_system = *file_system;
    m_header.block_size = little_endian_at<std::uint32_t>(start, 36);
    m_header.blocks = static_cast<std::int64_t>(little_endian_at<std::uint64_t>(start, 48));
    m_header.protection = check::crc32_v1;
    m_header.strip = 1;
    m_header.fresh_strips = false;
    m_bitmap_mode = bitmap_bytes;
    std::array<std::byte, v1_header_size - v2_header_size> rest{};
    return read_exactly(rest, "its header");
}

result<void> partclone_image::read_header_v2(std::span<std::byte const> start) {
    if (partclone_crc(start.first(v2_header_size - 4)) != little_endian_at<std::uint32_t>(start, v2_header_size - 4)) {
        return refuse("the checksum of its header is wrong");
    }
    if (little_endian_at<std::uint16_t>(start, 34) != little_endian_mark) {
        return refuse("written on a machine with another byte order");
    }
    if (little_endian_at<std::uint32_t>(start, 88) != v2_features_size ||
        little_endian_at<std::uint16_t>(start, 92) != 2) {
        return refuse("its header has features of a later version");
    }
    auto const file_system = text_field(start.subspan(36, 16));
    if (!file_system) {
        return refuse("the name of its file system is not text");
    }
    auto const code = little_endian_at<std::uint16_t>(start, 96);
    auto const* const kind = std::ranges::find(checksum_codes, code, &checksum_code::code);
    if (kind == checksum_codes.end() || little_endian_at<std::uint16_t>(start, 98) != kind->size) {
        return refuse("an unknown kind of checksums, " + std::to_string(code));
    }
    m_header.version = 2;
    m_header.file_system = *file_system;
    m_header.blocks = static_cast<std::int64_t>(little_endian_at<std::uint64_t>(start, 60));
    m_stated_blocks = static_cast<std::int64_t>(little_endian_at<std::uint64_t>(start, 76));
    m_header.block_size = little_endian_at<std::uint32_t>(start, 84);
    m_header.protection = kind->kind;
    m_header.strip = kind->kind == check::none ? 0 : little_endian_at<std::uint32_t>(start, 100);
    auto const reseed = std::to_integer<int>(start[104]);
    m_bitmap_mode = std::to_integer<int>(start[105]);
    if (kind->kind != check::none && m_header.strip == 0) {
        return refuse("checksums of no blocks");
    }
    if (reseed > 1 || (m_bitmap_mode != bitmap_none && m_bitmap_mode != bitmap_bits && m_bitmap_mode != bitmap_bytes)) {
        return refuse("an unknown kind of bitmap");
    }
    if (m_stated_blocks < 0 || m_stated_blocks > m_header.blocks) {
        return refuse("more blocks in use than the file system has");
    }
    m_header.fresh_strips = reseed == 1;
    return {};
}

result<void> partclone_image::add_used(std::int64_t first_block, std::int64_t count) {
    auto const offset = first_block * m_header.block_size;
    auto const length = count * m_header.block_size;
    m_used_bytes += length;
    if (!m_used.empty() && m_used.back().device_offset + m_used.back().length == offset) {
        m_used.back().length += length;
        return {};
    }
    if (m_used.size() == most_runs) {
        return refuse("more than " + std::to_string(most_runs) + " runs of used blocks");
    }
    m_used.push_back({offset, length});
    return {};
}

result<void> partclone_image::read_bitmap() {
    if (m_bitmap_mode == bitmap_none) {
        if (auto added = add_used(0, m_header.blocks); !added) {
            return added;
        }
    }
    bool const bits = m_bitmap_mode == bitmap_bits;
    auto const total = m_bitmap_mode == bitmap_none ? 0 : bits ? (m_header.blocks + 7) / 8 : m_header.blocks;
    std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::int64_t>(bitmap_buffer, total)));
    ::uLong crc = 0;
    for (std::int64_t at = 0; at < total; at += static_cast<std::int64_t>(buffer.size())) {
        buffer.resize(static_cast<std::size_t>(std::min<std::int64_t>(bitmap_buffer, total - at)));
        if (auto read = read_exactly(buffer, "its bitmap"); !read) {
            return read;
        }
        crc = ::crc32_z(crc, reinterpret_cast<unsigned char const*>(buffer.data()), buffer.size());
        for (std::size_t i = 0; i < buffer.size(); ++i) {
            auto const value = std::to_integer<unsigned>(buffer[i]);
            auto const block = at + static_cast<std::int64_t>(i);
            for (int bit = 0; bits && value != 0 && bit < 8; ++bit) {
                // Bits after the last block have no meaning.
                if ((value >> bit & 1U) != 0 && block * 8 + bit < m_header.blocks) {
                    if (auto added = add_used(block * 8 + bit, 1); !added) {
                        return added;
                    }
                }
            }
            if (!bits && value == 1) { // other values occur, and mean unused
                if (auto added = add_used(block, 1); !added) {
                    return added;
                }
            }
        }
    }
    std::array<std::byte, 8> end{};
    std::span<std::byte> const trailer(end.data(), m_bitmap_mode == bitmap_none ? 0U : bits ? 4U : 8U);
    if (auto read = read_exactly(trailer, "its bitmap"); !read) {
        return read;
    }
    if (bits && little_endian_at<std::uint32_t>(end, 0) != ~static_cast<std::uint32_t>(crc)) {
        return refuse("the checksum of its bitmap is wrong");
    }
    if (m_bitmap_mode == bitmap_bytes && std::memcmp(end.data(), bitmap_magic.data(), bitmap_magic.size()) != 0) {
        return refuse("its bitmap does not end where it should");
    }
    if (m_stated_blocks >= 0 && m_stated_blocks != m_used_bytes / m_header.block_size) {
        return refuse("its header counts " + std::to_string(m_stated_blocks) + " used blocks, its bitmap " +
                      std::to_string(m_used_bytes / m_header.block_size));
    }
    return {};
}

result<void> partclone_image::end_strip() {
    std::array<std::byte, strip_checksum::largest> computed{};
    std::array<std::byte, strip_checksum::largest> stored{};
    auto const size = m_checksum->digest(computed);
    if (auto read = read_exactly(std::span(stored).first(size), "its blocks"); !read) {
        return read;
    }
    if (stored != computed) {
        auto const& at = m_used[std::min(m_extent, m_used.size() - 1)];
        return refuse("a checksum of its blocks is wrong, at byte " + std::to_string(m_position) +
                      " of the image, before or at byte " + std::to_string(at.device_offset + m_done) +
                      " of the file system");
    }
    m_in_strip = 0;
    if (m_header.fresh_strips) {
        m_checksum->restart();
    }
    return {};
}

result<void> partclone_image::end_image() {
    if (m_in_strip > 0 && m_header.strip > 0) {
        if (auto ended = end_strip(); !ended) {
            return ended;
        }
    }
    std::array<std::byte, 1> more{};
    auto const got = m_source->read(more);
    if (!got) {
        return tl::unexpected(got.error());
    }
    m_ended = true;
    return *got == 0 ? result<void>() : refuse("the stream does not end where the image does");
}

result<std::optional<partclone_image::run>> partclone_image::next(std::span<std::byte> buffer) {
    if (m_extent == m_used.size()) {
        if (!m_ended) {
            if (auto const ended = end_image(); !ended) {
                return tl::unexpected(ended.error());
            }
        }
        return std::nullopt;
    }
    auto const& part = m_used[m_extent];
    auto const offset = part.device_offset + m_done;
    auto const length = std::min(static_cast<std::int64_t>(buffer.size()), part.length - m_done);
    auto const strip = m_header.strip * m_header.block_size;
    for (std::int64_t at = 0; at < length;) {
        // Up to the next checksum; version 1 needs to know where blocks start.
        auto const piece = strip > 0 ? std::min(length - at, strip - m_in_strip) : length - at;
        auto const bytes = buffer.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(piece));
        if (auto const read = read_exactly(bytes, "its blocks"); !read) {
            return tl::unexpected(read.error());
        }
        m_checksum->add(bytes, m_in_strip, m_header.block_size);
        m_in_strip += piece;
        at += piece;
        m_done += piece;
        if (strip > 0 && m_in_strip == strip) {
            if (auto const ended = end_strip(); !ended) {
                return tl::unexpected(ended.error());
            }
        }
    }
    if (m_done == part.length) {
        ++m_extent;
        m_done = 0;
    }
    return run{offset, static_cast<std::size_t>(length)};
}

} // namespace seedbed
