#include "core/image/packed_chunk.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include <xxhash.h>

#include "core/image/little_endian.hpp"

namespace seedbed {

namespace {

// The positions of the fields of an entry.
constexpr std::size_t offset_at = 0;
constexpr std::size_t raw_length_at = 8;
constexpr std::size_t packed_length_at = 12;
constexpr std::size_t method_at = 16;
constexpr std::size_t digest_at = 20;
static_assert(digest_at + sizeof(chunk_digest) == packed_limits::entry_size);

constexpr std::int32_t least_packed_sector = 512;
constexpr std::int32_t largest_packed_sector = 4096;

bool is_power_between(std::int32_t value, std::int32_t least, std::int32_t largest) {
    return value >= least && value <= largest && std::has_single_bit(static_cast<std::uint32_t>(value));
}

tl::unexpected<error> refuse_entry(std::string reason) {
    return tl::unexpected(error{std::move(reason)});
}

/// \param packed, raw lengths as in the entry.
result<void> check_packed_length(chunk_method method, std::int64_t packed, std::int64_t raw) {
    auto const numbers = std::to_string(packed) + " bytes for " + std::to_string(raw);
    switch (method) {
    case chunk_method::zero:
        return packed == 0 ? result<void>() : refuse_entry("a chunk of zeros with a payload of " + numbers);
    case chunk_method::stored:
        return packed == raw ? result<void>() : refuse_entry("a stored chunk with a payload of " + numbers);
    case chunk_method::zstd:
        break;
    }
    return packed > 0 && packed < raw ? result<void>()
                                      : refuse_entry("a compressed chunk with a payload of " + numbers);
}

/// \param offset, raw as in the entry.
result<void> check_place(std::uint64_t offset, std::int64_t raw, std::int64_t longest,
                         packed_geometry const& geometry) {
    auto const sector = geometry.sector_size;
    if (raw == 0 || raw > longest) {
        return refuse_entry("a length of " + std::to_string(raw) + " bytes: allowed are 1 to " +
                            std::to_string(longest));
    }
    if (raw % sector != 0 || offset % static_cast<std::uint64_t>(sector) != 0) {
        return refuse_entry("offset " + std::to_string(offset) + ", length " + std::to_string(raw) +
                            ": not whole sectors of " + std::to_string(sector) + " bytes");
    }
    auto const size = geometry.source_size.value();
    if (offset > static_cast<std::uint64_t>(size) || raw > size - static_cast<std::int64_t>(offset)) {
        return refuse_entry("offset " + std::to_string(offset) + ", length " + std::to_string(raw) +
                            ": ends beyond the source's " + std::to_string(size) + " bytes");
    }
    return {};
}

} // namespace

char const* to_string(chunk_method method) noexcept {
    switch (method) {
    case chunk_method::zero:
        return "zero";
    case chunk_method::stored:
        return "stored";
    case chunk_method::zstd:
        break;
    }
    return "zstd";
}

chunk_digest digest_of(std::span<std::byte const> bytes) noexcept {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
    chunk_digest digest{};
    static_assert(sizeof canonical.digest == sizeof digest);
    std::memcpy(digest.data(), canonical.digest, sizeof digest);
    return digest;
}

bool is_zero(std::span<std::byte const> bytes) noexcept {
    // Compares the bytes with themselves, shifted by one: fast, because memcmp() is.
    return bytes.empty() ||
           (bytes.front() == std::byte{} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

result<void> check_geometry(packed_geometry const& geometry) {
    if (!is_power_between(geometry.sector_size, least_packed_sector, largest_packed_sector)) {
        return refuse_entry("a sector size of " + std::to_string(geometry.sector_size) +
                            " bytes: expected 512, 1024, 2048 or 4096");
    }
    auto const size = geometry.source_size.value();
    if (size <= 0 || size % geometry.sector_size != 0) {
        return refuse_entry("a source of " + std::to_string(size) + " bytes: not whole sectors of " +
                            std::to_string(geometry.sector_size) + " bytes");
    }
    if (!is_power_between(geometry.piece_length, packed_limits::least_piece, packed_limits::largest_piece)) {
        return refuse_entry("a piece length of " + std::to_string(geometry.piece_length) +
                            " bytes: expected a power of two from 64 KiB to 64 MiB");
    }
    return {};
}

void append_entry(std::string& table, packed_chunk const& chunk) {
    append_little_endian(table, static_cast<std::uint64_t>(chunk.offset.value()));
    append_little_endian(table, static_cast<std::uint32_t>(chunk.raw_length));
    append_little_endian(table, static_cast<std::uint32_t>(chunk.packed_length));
    append_little_endian(table, static_cast<std::uint32_t>(chunk.method));
    for (auto const byte : chunk.digest) {
        table.push_back(static_cast<char>(byte));
    }
}

result<packed_chunk> read_entry(std::span<std::byte const, packed_limits::entry_size> entry,
                                packed_geometry const& geometry) {
    auto const offset = little_endian_at<std::uint64_t>(entry, offset_at);
    auto const raw = std::int64_t{little_endian_at<std::uint32_t>(entry, raw_length_at)};
    auto const packed = std::int64_t{little_endian_at<std::uint32_t>(entry, packed_length_at)};
    auto const number = little_endian_at<std::uint32_t>(entry, method_at);
    if (number > static_cast<std::uint32_t>(chunk_method::zstd)) {
        return refuse_entry("unknown method " + std::to_string(number));
    }
    auto const method = static_cast<chunk_method>(number);
    auto const longest = method == chunk_method::zero ? packed_limits::zero_chunk : packed_limits::chunk;
    if (auto const checked = check_place(offset, raw, longest, geometry); !checked) {
        return tl::unexpected(checked.error());
    }
    if (auto const checked = check_packed_length(method, packed, raw); !checked) {
        return tl::unexpected(checked.error());
    }
    packed_chunk chunk{device_offset{static_cast<std::int64_t>(offset)}, static_cast<std::int32_t>(raw),
                       static_cast<std::int32_t>(packed), method};
    std::copy_n(entry.begin() + digest_at, chunk.digest.size(), chunk.digest.begin());
    if (method == chunk_method::zero && chunk.digest != chunk_digest{}) {
        return refuse_entry("a chunk of zeros with a digest");
    }
    return chunk;
}

} // namespace seedbed
