#pragma once

#include <string>
#include <string_view>

#include "core/foundation/error.hpp"
#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// The number in the document's "format": incremented when a key changes its meaning or is removed, not for new keys.
inline constexpr int status_format = 1;

/// Formats a snapshot as a JSON document on one line. Keys end in their unit; rates are payload bytes per second, and
/// progress ranges from 0 to 1. Values that are unknown or have no meaning in the image's mode are null.
/// Pure. Threads: any.
[[nodiscard]] std::string to_status_document(status_snapshot const& snapshot);

/// The inverse of to_status_document(), also for documents of other versions of the program: unknown keys are skipped,
/// missing ones get their default. Fails if the text is not such a document.
[[nodiscard]] result<status_snapshot> parse_status_document(std::string_view text);

} // namespace seedbed
