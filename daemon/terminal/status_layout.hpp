#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

// The output of `seedbed status`, as lines of printable ASCII. Pure.

/// A summary, a row for each image with its incomplete hosts below, and the errors. \param width maximum length of a
/// line, or 0 for no limit.
[[nodiscard]] std::vector<std::string> status_table(status_snapshot const& snapshot, std::size_t width);

/// The same as a screen of at most \p height lines, with the peers and incomplete hosts of each image; if there is no
/// room for all, those with the least progress. \param note text at the end of the first line: the time. \param trouble
/// why the snapshot is out of date, or empty.
[[nodiscard]] std::vector<std::string> status_screen(status_snapshot const& snapshot, std::string const& note,
                                                     std::string const& trouble, std::size_t width, std::size_t height);

} // namespace seedbed
