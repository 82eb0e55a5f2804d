#pragma once

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/layout/growth_plan.hpp"

namespace seedbed {

/// Corrects the position that the boot sectors of moved NTFS and FAT file systems state for themselves.
///
/// Their field "hidden sectors", four bytes at 0x1c, is the partition's first sector; the boot code in these sectors,
/// and some firmware, read the disk by it. Corrected are the first sector and its backup (NTFS: the sector behind the
/// file system; FAT32: the one that the field at 0x32 names), each only if it states the position that the partition
/// had in the image. Call it when the image is written and verified, before the table: afterwards these sectors differ
/// from the image. Flushes if it wrote.
///
/// \return the number of sectors written. Threads: any; blocks.
[[nodiscard]] result<int, io_error> correct_boot_sectors(block_device& device, deployment_plan const& plan);

} // namespace seedbed
