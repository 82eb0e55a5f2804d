#pragma once

#include <string>
#include <string_view>

#include "core/foundation/error.hpp"
#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// The number in the document's "format": raised when a key changes its meaning or goes. New keys do not raise it.
inline constexpr int status_format = 1;

/// Writes a snapshot as a JSON document, in one line. Names with a unit say it; sizes without are bytes, rates payload
/// bytes a second, and fractions go from 0 to 1. What is not known, or means nothing in the image's mode, is null.
/// Pure. Threads: any.
[[nodiscard]] std::string to_status_document(status_snapshot const& snapshot);

/// Reads what to_status_document() has written, be it of another version of the program: keys that are not known are
/// passed over, and those that are missing have their default. Fails on what is no such document.
[[nodiscard]] result<status_snapshot> parse_status_document(std::string_view text);

} // namespace seedbed
