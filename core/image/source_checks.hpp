#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/image/extent_map.hpp"

namespace seedbed {

/// The number of bytes that the checks below need from the start of a source.
constexpr std::size_t source_head = std::size_t{68} * 1024;

/// The format of a file that is not itself an image: "gzip-compressed data", "a qcow2 disk image", "an HTML page".
/// Nothing if the bytes may be an image. \param head the first bytes, at most source_head.
[[nodiscard]] std::optional<std::string> packed_format(std::string_view head);

/// What the file system on a device needs besides that device, worded as the cause of a refusal: the other devices of a
/// btrfs, a journal or log elsewhere. Nothing if the device is complete. \param type blkid's name.
/// \param head the first source_head bytes.
[[nodiscard]] std::optional<std::string> missing_part(std::string_view type, std::string_view head);

/// The places of the copies of the first sector or superblock that a file system keeps at fixed positions and that
/// partclone does not count as used, in ascending order. \param type, head as for missing_part().
/// \param size of the source in bytes.
[[nodiscard]] std::vector<extent> metadata_copies(std::string_view type, std::string_view head, std::int64_t size);

/// Copies of the first sector or superblock that a file system keeps at fixed positions and that the image omits,
/// because partclone lists only used blocks. One line each: what, where, and how to restore it. A deployment leaves
/// other bytes there, so repair tools find no copy. \param type, head as for missing_part().
/// \param size of the source in bytes.
[[nodiscard]] std::vector<std::string> left_out_copies(std::string_view type, std::string_view head, std::int64_t size,
                                                       extent_map const& image);

/// Whether the journal or log of a file system holds changes that are not in place yet, because it was not unmounted.
/// Its lists of used blocks are then those from before these changes, and so are partclone's.
enum class journal : std::uint8_t {
    clean, ///< or the file system has none
    pending,
    unknown ///< xfs_logprint(8), which the check of XFS needs, is not installed or cannot read the log
};

/// \param type, head as for missing_part(). \param source device or image file, of which the log of XFS is read with
/// xfs_logprint(8). Threads: any that may block.
[[nodiscard]] journal find_journal(std::string_view type, std::string_view head, std::string const& source);

/// Whether Windows is hibernated on an NTFS file system: its memory is in hiberfil.sys, and files that it had open are
/// incomplete on the disk. "Fast startup" leaves the same state after a shutdown.
enum class hibernation : std::uint8_t {
    none,
    hibernated,
    unknown ///< ntfscat(8), which the check needs, is not installed
};

/// Reads the start of hiberfil.sys with ntfscat(8), the same check as ntfs-3g makes before it mounts for writing.
/// \param source device or image file. Threads: any that may block.
[[nodiscard]] hibernation find_hibernation(std::string const& source);

} // namespace seedbed
