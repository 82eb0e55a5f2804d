#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

// The progress of an image's hosts, as printable ASCII. Pure.

/// "12/40 complete"; empty if no hosts are expected and none is known.
[[nodiscard]] std::string fleet_progress(status_snapshot::image const& image);

/// A host without the complete image: "192.0.2.18", "61% at 3.1 MiB/s"; or several: "3 hosts", "not seen".
struct straggler {
    std::string name;
    std::string text;
};
/// The hosts that have not completed the image, the worst first. \param all false: omit those that are among the
/// image's peers, unless they have failed.
[[nodiscard]] std::vector<straggler> fleet_stragglers(status_snapshot::image const& image, bool all);

/// An indented line per straggler, none longer than \p width (0: no limit), at most \p most lines: if there are more,
/// the last line counts the others.
[[nodiscard]] std::vector<std::string> straggler_lines(std::vector<straggler> const& stragglers, std::size_t most,
                                                       std::size_t width);

} // namespace seedbed
