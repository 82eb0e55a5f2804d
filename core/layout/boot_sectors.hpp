#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/layout/growth_plan.hpp"

namespace seedbed {

/// Corrects the position that the boot sectors of moved NTFS and FAT file systems state for themselves.
///
/// Their field "hidden sectors", four bytes at 0x1c, is the partition's first sector; the boot code in these sectors,
/// and some firmware, read the disk by it. It corrects the first sector and its backup (NTFS: the sector after the file
/// system; FAT32: the one that the field at 0x32 names), each only if it states the position that the partition had in
/// the image. Call it when the image is written and verified, before the table: afterwards these sectors differ from
/// the image. Flushes if it wrote anything.
///
/// \return the number of sectors written. Threads: any; blocks.
[[nodiscard]] result<int, io_error> correct_boot_sectors(block_device& device, deployment_plan const& plan);

/// A field that correct_boot_sectors() has changed.
struct corrected_field {
    std::int64_t offset = 0;             ///< on the target, bytes
    std::array<std::byte, 4> original{}; ///< as in the image

    friend bool operator==(corrected_field const&, corrected_field const&) = default;
};

/// The fields that correct_boot_sectors() has changed on this device: with their original bytes, the sectors are those
/// of the image. Reads only. Threads: any; blocks.
[[nodiscard]] result<std::vector<corrected_field>, io_error> corrected_fields(block_device& device,
                                                                              deployment_plan const& plan);

} // namespace seedbed
