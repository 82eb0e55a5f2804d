#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// A partition whose content is in files of a Clonezilla folder.
struct clonezilla_partition {
    int number = 0;
    std::vector<std::filesystem::path> files; ///< in order
    bool all_bytes = false;                   ///< written by partclone.dd; otherwise a partclone image
};

/// One disk in a Clonezilla folder: see seedbed-partclone(7).
struct clonezilla_folder {
    std::string disk; ///< its name there: "sda"
    /// With boot code, gap and swap areas. For other content, only the whole partition's size.
    disk_layout layout;
    std::string gap; ///< as many bytes as the layout's gap has
    /// In the order of their positions.
    std::vector<clonezilla_partition> partitions;
    std::vector<int> missing; ///< partitions of the table that Clonezilla has not saved
};

/// Reads the small files of a Clonezilla folder, and finds the large ones. The error is one line: no partition table or
/// several, a file that cannot be read or is malformed, logical volumes, or a partition that was saved by a program
/// other than partclone.
[[nodiscard]] result<clonezilla_folder> read_clonezilla_folder(std::filesystem::path const& folder);

} // namespace seedbed
