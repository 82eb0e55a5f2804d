#pragma once

#include <atomic>
#include <optional>

#include "core/device/image_fit.hpp"
#include "core/image/capture.hpp"
#include "daemon/commands/create_options.hpp"
#include "daemon/commands/create_source.hpp"
#include "daemon/terminal/progress.hpp"

namespace seedbed {

/// An image, and the known properties of its source.
struct created_image {
    captured_image image;
    std::optional<image_traits> traits; ///< nothing if partclone's output does not show any
};

/// Contains nothing if it was cancelled.
using create_result = result<std::optional<created_image>, create_failure>;

/// Creates the image that the options describe: reads all of the source, has partclone capture it, or reads partclone's
/// output. Shows its progress. If a raw image replaces a capture, prints which, and why.
/// \param cancelled stops it soon after it becomes true.
/// Threads: call it on one that may block; \p cancelled may be set by any thread or a signal handler.
[[nodiscard]] create_result create_image(create_options const& options, progress_display& progress,
                                         std::atomic<bool> const& cancelled);

} // namespace seedbed
