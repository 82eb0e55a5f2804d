#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"
#include "core/image/partclone_info.hpp"

namespace seedbed {

/// The name of partclone's program for a file system, as blkid names that: "partclone.ext4". Nothing for what it does
/// not know.
[[nodiscard]] std::optional<std::string> partclone_program(std::string_view file_system);

/// Where a program is, by PATH and the folders of system programs, which a user's PATH may lack; empty where it is not.
[[nodiscard]] std::string find_program(std::string const& name);

struct partclone_run {
    std::string program;  ///< path, of find_program()
    std::string source;   ///< device or image file
    bool mounted = false; ///< which partclone has to be told to put up with
    /// Bytes done, and of all that are in use (0 as long as that is not known); called about ten times a second.
    std::function<void(std::int64_t, std::int64_t)> progress;
    std::atomic<bool> const* cancelled = nullptr; ///< ends it soon once it is true
};

/// Has partclone capture a file system, as `partclone.FS -c -t -s SOURCE --buffer_size 16777216` does, into a folder of
/// its own below TMPDIR (/tmp), which is gone afterwards. Nothing where it was cancelled. Where partclone fails, the
/// error gives the last line that it said. Threads: any that may wait.
[[nodiscard]] result<std::optional<partclone_info>> run_partclone(partclone_run const& run);

} // namespace seedbed
