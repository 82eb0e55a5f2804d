#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/device/image_fit.hpp"
#include "core/image/bad_extents.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"

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
                                                       std::vector<std::size_t> const& differing);

/// The output of `seedbed verify`: a JSON document with all bad extents, or lines for people.
[[nodiscard]] std::string packed_verify_json(std::string const& device, packed_image const& image,
                                             packed_comparison const& found, double seconds);
[[nodiscard]] std::string packed_verify_text(std::string const& device, packed_image const& image,
                                             packed_comparison const& found, double seconds);

} // namespace seedbed
