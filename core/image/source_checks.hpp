#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seedbed {

/// How many bytes from the start of a source the checks below need.
constexpr std::size_t source_head = 68 * 1024;

/// What a file is that holds an image in another form and is no image itself: "gzip-compressed data", "a qcow2 disk
/// image", "an HTML page". Nothing if its bytes may be an image. \param head the first bytes, as many as it has.
[[nodiscard]] std::optional<std::string> packed_format(std::string_view head);

/// What a file system on one device needs besides that device, as the cause of a refusal: other devices of a btrfs, a
/// journal or log elsewhere. Nothing if the device is all of it. \param type blkid's name.
/// \param head the first source_head bytes.
[[nodiscard]] std::optional<std::string> missing_part(std::string_view type, std::string_view head);

/// Whether a Windows is suspended on an NTFS: its memory is in hiberfil.sys, and files that it had open are incomplete
/// on the disk. "Fast startup" leaves the same after a shutdown.
enum class hibernation : std::uint8_t {
    none,
    hibernated,
    unknown ///< ntfscat(8), with which it is found out, is not installed
};

/// Reads the start of hiberfil.sys by ntfscat(8), as ntfs-3g does before it mounts for writing.
/// \param source device or image file. Threads: any that may block.
[[nodiscard]] hibernation find_hibernation(std::string const& source);

} // namespace seedbed
