#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

// How far an image's hosts are, as printable ASCII. Pure.

/// "12/40 complete"; empty where there is nothing to tell: nobody is expected, and nobody has come.
[[nodiscard]] std::string fleet_progress(status_snapshot::image const& image);

/// A host that has not got the image: "192.0.2.18", "61% at 3.1 MiB/s"; or some: "3 hosts", "not seen".
struct straggler {
    std::string name;
    std::string text;
};
/// The worst first. \param all false: without those that stand among the image's peers, unless they have failed.
[[nodiscard]] std::vector<straggler> fleet_stragglers(status_snapshot::image const& image, bool all);

/// A line for each, indented, none longer than \p width (0: as wide as it takes), \p most of them: the last one tells
/// of the others.
[[nodiscard]] std::vector<std::string> straggler_lines(std::vector<straggler> const& stragglers, std::size_t most,
                                                       std::size_t width);

} // namespace seedbed
