#pragma once

#include <map>
#include <string>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"

namespace seedbed {

/// The images checked so far, by the info-hash of their torrent.
using checked_torrents = std::map<info_hash, image_settings const*>;

/// Checks what the daemon would do with an image, and adds it to \p checked_before. Opens its device for reading only.
/// \return what it would do, or why the image would fail; one line.
[[nodiscard]] result<std::string> check_image(image_settings const& image, settings const& configured,
                                              checked_torrents& checked_before);

} // namespace seedbed
