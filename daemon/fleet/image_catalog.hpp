#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device/image_fit.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/http/http_file.hpp"
#include "daemon/http/http_message.hpp"

namespace seedbed {

/// The .torrent of an image, in memory. If it names no tracker, it is served with the tracker of the server that the
/// client has asked.
///
/// Threads: immutable; any thread.
class served_torrent {
public:
    /// Compresses the bytes, see http_file. \param has_tracker whether they name a tracker.
    served_torrent(std::string bytes, bool has_tracker);

    /// \param name of the image. \param tracker the announce URL of this server; empty: none.
    [[nodiscard]] http_response answer(http_request const& request, std::string const& name,
                                       std::string const& tracker) const;

private:
    bool m_add_tracker;
    http_file m_file; ///< if a tracker is to be added, without the first byte
};

/// An image that is ready to be deployed from here.
struct catalog_image {
    std::string name;
    image_kind source = image_kind::unknown;
    std::int64_t bytes = 0;                   ///< of the source, in the image
    std::optional<std::int64_t> packed_bytes; ///< as peers exchange it; nothing: it is raw
    seedbed::info_hash info_hash;
    std::shared_ptr<served_torrent const> torrent; ///< never null
};

/// Serves the images of the daemon over HTTP:
///
///     /images                 the list, as JSON
///     /images/NAME.torrent    the .torrent of an image
///     /images/NAME            the same
///
/// A name is looked up among the images; no other file can be reached.
///
/// Threads: confined to the main thread.
class image_catalog {
public:
    void set_images(std::vector<catalog_image> images) { m_images = std::move(images); }
    /// Whether \p target is one of those above.
    [[nodiscard]] static bool has(std::string const& target);
    [[nodiscard]] http_response answer(http_request const& request) const;

private:
    [[nodiscard]] std::string list(std::string const& server) const;
    [[nodiscard]] catalog_image const* find(std::string const& name) const;

    std::vector<catalog_image> m_images;
};

} // namespace seedbed
