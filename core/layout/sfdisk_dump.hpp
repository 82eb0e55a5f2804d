#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// Parses the dump of a partition table that `sfdisk -d` prints, such as DISK-pt.sf in a Clonezilla folder.
///
/// The layout has neither boot code nor gap, and of each content only the size, which is that of the partition.
/// Refused: malformed lines and fields, two fields with one name, and what check_layout() refuses.
///
/// \param disk_size bytes; 0 if unknown: then the smallest disk that holds the table. \param name for errors, which are
/// one line "NAME:LINE: reason".
[[nodiscard]] result<disk_layout> parse_sfdisk_dump(std::string_view text, std::string const& name,
                                                    std::int64_t disk_size = 0);

} // namespace seedbed
