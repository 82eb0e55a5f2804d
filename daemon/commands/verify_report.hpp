#pragma once

#include <string>
#include <vector>

#include "core/backend/image_verifier.hpp"
#include "core/device/file_block_device.hpp"
#include "core/image/bad_extents.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// The outcome of `seedbed verify`.
struct verify_result {
    image_verifier::outcome outcome;
    double seconds = 0;
};

// Its output, with a newline after each line. \param bad the location of the bad pieces; see find_bad_extents(). Pure.

/// A JSON document with all bad extents.
[[nodiscard]] std::string verify_json(std::string const& device, image_torrent const& torrent,
                                      verify_result const& result, std::vector<bad_extent> const& bad);

/// Lines for people: that everything matches, or the first bad extents; empty if the verification ended with neither.
[[nodiscard]] std::string verify_text(std::string const& device, image_torrent const& torrent,
                                      verify_result const& result, std::vector<bad_extent> const& bad);

/// Prints a warning if \p requirements allow a device that is mounted read-write, and this one is.
void warn_if_mounted(std::string const& path, device_requirements requirements);

} // namespace seedbed
