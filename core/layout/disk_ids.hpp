#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>

#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// Why a layout must keep its ids: Windows' boot configuration (BCD) names its disk by them, and its boot loader does
/// not start without them. Nothing if there is no sign of Windows.
///
/// The signs are in the table itself, so that an image need not be opened: a Microsoft reserved or Windows recovery
/// partition, which Windows' setup makes; an EFI system partition beside NTFS in a basic data partition; on an MBR,
/// an active NTFS partition. A data disk of Windows is taken for a system disk.
[[nodiscard]] std::optional<std::string> windows_sign(disk_layout const& layout);

/// Fills the range with random bytes; throws std::system_error if the kernel has none.
using random_source = std::function<void(std::span<unsigned char>)>;
/// getrandom(2).
void kernel_random(std::span<unsigned char> bytes);

/// Gives the disk and, on a GPT, its partitions new random ids. Refused with the reason if windows_sign() sees one.
[[nodiscard]] result<void> make_new_ids(disk_layout& layout, random_source const& random = kernel_random);

} // namespace seedbed
