#include "daemon/image/resume_point.hpp"

#include <utility>

namespace seedbed {

resume_point find_resume_point(checkpoint_store const& store, image_torrent const& torrent, std::string const& device,
                               std::string const& placement) {
    resume_point point;
    auto loaded = store.load(device);
    if (!loaded) {
        point.unused = loaded.error().message;
        return point;
    }
    if (!*loaded) {
        return point;
    }
    auto const present = identify_device(device);
    if (!present) {
        point.unused = present.error().message;
        return point;
    }
    if (auto why = why_unfit(**loaded, torrent.info_hash, torrent.piece_count, device, *present)) {
        point.unused = std::move(*why);
        return point;
    }
    if ((*loaded)->placement != placement) {
        point.unused = "its partitions were to grow or move otherwise";
        return point;
    }
    point.change = changed_since((*loaded)->identity, *present);
    point.found = std::move(**loaded);
    return point;
}

} // namespace seedbed
