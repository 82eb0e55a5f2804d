#pragma once

#include <cstddef>
#include <vector>

#include "daemon/status/status_snapshot.hpp"
#include "daemon/terminal/text_table.hpp"

namespace seedbed {

// The rows of images in the status, as printable ASCII. Pure.

/// A row for each image, under titles: state, progress, rate, peers, time left, device and so on.
[[nodiscard]] text_table image_rows(std::vector<status_snapshot::image const*> const& images);

/// The number of an image's peers.
[[nodiscard]] std::size_t peer_count(status_snapshot::image const& image);

} // namespace seedbed
