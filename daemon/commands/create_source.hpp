#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/device/block_device.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/image_fit.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/error.hpp"
#include "core/image/partclone_run.hpp"
#include "daemon/commands/create_options.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/terminal/progress.hpp"

namespace seedbed {

// The source of an image: opened after all guards, and the way to capture its file system.
// Threads: all of this confined to one that may block; create_context::cancelled may be set by any.

/// Why no image was created, and the exit status for it.
struct create_failure {
    exit_code code = exit_failed;
    std::string message;
};
[[nodiscard]] tl::unexpected<create_failure> create_failed(exit_code code, std::string message);

/// Shared by all ways to create an image.
struct create_context {
    create_options const& options;
    progress_display& progress;
    std::atomic<bool> const& cancelled;

    /// The progress of hashing, as a function of the bytes done and the total.
    [[nodiscard]] auto show_progress() const {
        return [this](std::int64_t done, std::int64_t total) { progress.update(done, total); };
    }
};

/// Prints a line about the source above the progress.
void warn(create_context const& context, std::string const& source, std::string const& what);

/// The default profile of a device.
[[nodiscard]] io_profile profile_of(std::string const& path);

struct create_source {
    std::unique_ptr<block_device> device; ///< never null until it is given up
    std::string head;                     ///< its first bytes, see source_head
    disk_content content;                 ///< empty if it cannot be probed
    image_traits traits;
    int sector_size = 0; ///< of a block device, in bytes; 0 for a file
};

/// Opens the source of the options after every guard has passed: held to the end, even while partclone reads it, unless
/// partclone opens it exclusively itself. Refuses a compressed file, except with --raw.
[[nodiscard]] result<create_source, create_failure> open_source(create_context const& context);

/// Refuses an NTFS file system on which Windows is hibernated, unless the user allowed that. Warns if ntfscat(8), which
/// the check needs, is missing. \param name for messages. \param path to read.
[[nodiscard]] result<void, create_failure> check_hibernation(create_context const& context, std::string const& name,
                                                             std::string const& path);

/// Why partclone must not list the used blocks of a file system: it was not unmounted, see find_journal(). Nothing if
/// it was, or if the user allows a source that is mounted. Warns if xfs_logprint(8), which the check needs, is missing.
/// \param name for messages. \param path to read.
[[nodiscard]] std::optional<std::string> why_not_unmounted(create_context const& context, std::string const& name,
                                                           std::string const& type, std::string const& head,
                                                           std::string const& path);

/// A failure, or nothing after printing the reason, if the user allowed that all bytes are taken.
[[nodiscard]] result<void, create_failure> take_all_because(create_context const& context, std::string const& name,
                                                            std::string const& reason);

/// How to capture the file system on a source.
struct capture_plan {
    std::string file_system; ///< blkid's name
    std::string program;     ///< the path of partclone's; empty: take all bytes
};

/// Chooses partclone's program, or all bytes if the user allowed that; then prints the reason. Refuses a file system
/// of which this device is only a part, and a hibernated Windows.
[[nodiscard]] result<capture_plan, create_failure> plan_capture(create_context const& context, block_device& source,
                                                                std::string const& head);

/// partclone has failed: warns that all bytes are taken instead, if the user allowed that; otherwise a failure.
/// \param message names the source, and what partclone said.
[[nodiscard]] result<void, create_failure> take_all_instead(create_context const& context, std::string const& message);

/// A run of the planned program on the source.
[[nodiscard]] partclone_run partclone_of(create_context const& context, capture_plan const& plan,
                                         block_device const& source);

} // namespace seedbed
