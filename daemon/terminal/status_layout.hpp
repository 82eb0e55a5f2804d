#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

// What "seedbed status" shows, as lines of printable ASCII. Pure.

/// A summary, a row for each image with the hosts that have not got it below, and what is wrong. \param width that no
/// line exceeds; 0: as wide as it takes.
[[nodiscard]] std::vector<std::string> status_table(status_snapshot const& snapshot, std::size_t width);

/// The same as a screen of at most \p height lines, with the peers of each image and the hosts that it has lost
/// as far as there is room: where it does not do for all, those that have the least. \param note at the end of the
/// first line: what time it is. \param trouble why these are not the present numbers; or empty.
[[nodiscard]] std::vector<std::string> status_screen(status_snapshot const& snapshot, std::string const& note,
                                                     std::string const& trouble, std::size_t width, std::size_t height);

} // namespace seedbed
