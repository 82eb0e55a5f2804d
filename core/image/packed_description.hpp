#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/device/image_fit.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// A SHA-256 digest.
using sha256_digest = std::array<char, 32>;

/// What a packed image was made from: the dictionary that the torrent's info dictionary holds under packed_key, so that
/// the info-hash covers it. Texts may hold any byte; they are empty if unknown.
struct packed_description {
    image_kind kind = image_kind::unknown;
    byte_count source_size;
    std::int32_t sector_size = 0; ///< bytes: the source's logical sectors
    byte_count used;              ///< the source's bytes that the image holds, zeros included
    int level = 0;                ///< of zstd, with which the chunks were compressed, 1 to 19; 0: not stated
    std::string content = {};     ///< blkid's name of the file system or volume ("ext4"), or of the partition table
    std::string label = {};
    std::string uuid = {};
    /// Of a disk whose chunks do not hold its partition table; valid, with this size and these sectors.
    std::optional<disk_layout> layout = {};
    sha256_digest index{}; ///< of the encoded packed_index

    friend bool operator==(packed_description const&, packed_description const&) = default;
};

/// The key of the description in the info dictionary.
inline constexpr std::string_view packed_key = "seedbed";

/// The description as a bencoded dictionary.
[[nodiscard]] std::string encode_description(packed_description const& description);

/// Decodes a bencoded dictionary; unknown keys are ignored. Refused, with the reason: another version, a missing or
/// wrong value, texts of more than 1024 bytes, what check_geometry() refuses about size and sectors, what
/// parse_disk_layout() refuses, and a layout of another size or other sectors, or of a partition.
[[nodiscard]] result<packed_description> decode_description(std::string_view bencoded);

} // namespace seedbed
