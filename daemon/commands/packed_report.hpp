#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/image_fit.hpp"
#include "core/image/bad_extents.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

// Texts about packed images, with a newline after each line. Pure.

/// What an image holds, for people; unprintable bytes become "?":
///
///     win11.sbi: partition of 20 GiB in sectors of 512 bytes, ntfs "Windows"
///       holds      8.2 GiB in 35211 chunks and 1201 extents
///       packed     3.1 GiB in 794 pieces of 4 MiB, 2.65:1
///       info-hash  0123...
[[nodiscard]] std::string packed_text(packed_image const& image);

/// The properties of the source that the guards of a target need.
[[nodiscard]] image_traits traits_of(packed_image const& image);

/// The device's bytes of differing chunks; adjacent ones are joined. \param differing as packed_comparison has them.
[[nodiscard]] std::vector<bad_extent> find_bad_extents(packed_image const& image,
                                                       std::vector<std::size_t> const& differing,
                                                       chunk_placement const& placement = {});

/// The partition that has grown on a disk since its chunks were written: growing its file system changes some of them,
/// so that differences in it show nothing.
struct grown_comparison {
    int number = 0;            ///< of the partition
    std::string partition;     ///< "partition 4 (ext4)", printable
    std::int64_t by = 0;       ///< bytes
    std::int64_t bytes = 0;    ///< of its chunks
    std::size_t chunks = 0;    ///< of the image, in it
    std::size_t differing = 0; ///< of these
};

/// The result of comparing a device with a packed image.
struct packed_verification {
    packed_comparison found; ///< without the chunks of a grown partition
    chunk_placement placement = {};
    std::optional<grown_comparison> grown = {};
    double seconds = 0;
};

/// Takes the chunks of a grown partition out of the comparison. \param partition as it is in the image.
[[nodiscard]] grown_comparison take_out_grown(packed_image const& image, partition_entry const& partition,
                                              std::int64_t by, packed_comparison& found);

/// The output of `seedbed verify`: a JSON document with all bad extents, or lines for people.
[[nodiscard]] std::string packed_verify_json(std::string const& device, packed_image const& image,
                                             packed_verification const& result);
[[nodiscard]] std::string packed_verify_text(std::string const& device, packed_image const& image,
                                             packed_verification const& result);

} // namespace seedbed
