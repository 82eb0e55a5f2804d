#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/partclone_info.hpp"

namespace seedbed {

/// The name of the partclone program, such as "partclone.ext4", for a file system as blkid names it. Nothing if
/// partclone does not support it.
[[nodiscard]] std::optional<std::string> partclone_program(std::string_view file_system);

/// Whether the partclone program opens the device exclusively, and so fails if the caller has it open exclusively.
[[nodiscard]] bool opens_exclusively(std::string_view file_system);

struct partclone_run {
    std::string program;   ///< path, from find_program()
    std::string source;    ///< device or image file
    std::int64_t size = 0; ///< of the source, in bytes; only for find_used_blocks()
    bool mounted = false;  ///< partclone refuses a mounted source unless forced
    /// Called about twenty times a second with the bytes done and the bytes in use (0 while unknown).
    std::function<void(std::int64_t, std::int64_t)> progress;
    /// Called with each warning of partclone, as printable ASCII, if it succeeded.
    std::function<void(std::string const&)> warning = {};
    std::atomic<bool> const* cancelled = nullptr; ///< stops partclone soon after it becomes true
};

/// Captures a file system with `partclone.FS -c -t -s SOURCE --buffer_size 16777216`, in a temporary folder below
/// TMPDIR (/tmp), which is removed afterwards. Returns nothing if it was cancelled. If partclone fails, the error holds
/// the last line of its output. Threads: any that may block.
[[nodiscard]] result<std::optional<partclone_info>> run_partclone(partclone_run const& run);

/// Has partclone list the used blocks of a file system (`partclone.FS -D -s SOURCE`), without reading their content.
/// Ranges ascend, and adjacent ones are joined. Otherwise as run_partclone().
[[nodiscard]] result<std::optional<std::vector<extent>>> find_used_blocks(partclone_run const& run);

/// Parses the domain log that partclone writes, which has the form of ddrescue's map files. The error is one line
/// "NAME: reason" or "NAME:LINE: reason". \param size of the source in bytes: a used range beyond it is refused.
[[nodiscard]] result<std::vector<extent>> parse_domain_log(std::string_view text, std::string const& name,
                                                           std::int64_t size);

} // namespace seedbed
