#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/find_program.hpp"
#include "core/layout/growth_plan.hpp"

namespace seedbed {

/// A program that a plan needs and this machine lacks.
struct missing_program {
    std::string name;    ///< "resize2fs"
    std::string package; ///< Debian's package with it
    std::string purpose; ///< "grow partition 3 (ntfs)"

    friend bool operator==(missing_program const&, missing_program const&) = default;
};

/// Returns the path of a program, or an empty text.
using program_search = std::function<std::string(std::string const&)>;

/// The programs that finish_partitions() would not find. Call it before the first byte is written.
[[nodiscard]] std::vector<missing_program> missing_programs(deployment_plan const& plan,
                                                            program_search const& search = find_program);

/// Makes the swap areas of a deployed disk, and grows the file system in the partition that has grown.
///
/// It works on loop devices, before the disk has a table: a disk that loses power here shows none, and has the image's
/// blocks written again by the next deployment. The programs are mkswap; e2fsck -f -p and resize2fs; ntfsresize, first
/// with --no-action; xfs_growfs and btrfs, which need the file system mounted for it, in a temporary folder. A file
/// system with errors is not grown: that is an error. On return everything is durable.
///
/// \param disk the disk or a regular file, open for reading and writing, and not exclusively: the kernel may keep it
/// open for a moment longer. Another open file of it may be exclusive. \param name for errors. \param on_step called
/// before each program with what it does, such as "grow partition 3 (ntfs)". The error is one line: the partition, the
/// program, its exit status and the last line of its output. Needs root. Threads: any; blocks.
[[nodiscard]] result<void> finish_partitions(int disk, std::string const& name, deployment_plan const& plan,
                                             std::function<void(std::string const&)> const& on_step = {});

} // namespace seedbed
