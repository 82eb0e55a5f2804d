#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/commands/create_options.hpp"
#include "daemon/commands/create_source.hpp"
#include "daemon/terminal/progress.hpp"

namespace seedbed {

/// A packed image that has been saved.
struct saved_packed_image {
    seedbed::info_hash info_hash;
    std::string torrent;     ///< path of the .torrent
    std::int64_t bytes = 0;  ///< of the source, in the image
    std::int64_t packed = 0; ///< bytes of the packed file
    std::int64_t extents = 0;
    std::int32_t pieces = 0;
};

/// The .torrent of a packed file: "win11.torrent" of "win11.sbi".
[[nodiscard]] std::string torrent_beside(std::string const& packed_file);

/// Packs the source of the options into their output, and writes the .torrent beside it. Neither has its name before
/// both are complete and durable. Shows its progress. \param cancelled as in create_image().
/// Threads: call it on one that may block. \return nothing if it was cancelled.
[[nodiscard]] result<std::optional<saved_packed_image>, create_failure>
create_packed_image(create_options const& options, progress_display& progress, std::atomic<bool> const& cancelled);

} // namespace seedbed
