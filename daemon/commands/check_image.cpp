#include "daemon/commands/check_image.hpp"

#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/format_count.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/image/image_opener.hpp"
#include "daemon/image/packed_plan.hpp"

namespace seedbed {

result<std::string> check_image(image_settings const& image, settings const& configured,
                                checked_torrents& checked_before) {
    torrent_limits limits;
    limits.file_size = configured.memory.max_torrent;
    auto const torrent = load_any_torrent(image.torrent, limits);
    if (!torrent) {
        return tl::unexpected(torrent.error());
    }
    // The daemon serves a torrent from only one device.
    if (auto const [first, is_new] = checked_before.try_emplace(torrent->info_hash, &image); !is_new) {
        return tl::unexpected(error{image.torrent + " has the same info-hash as " + first->second->torrent +
                                    " of image " + first->second->name});
    }
    if (auto const checked = check_image_device(image, *torrent); !checked) {
        return tl::unexpected(error{checked.error().message});
    }
    if (torrent->packed && image.mode == image_mode::deploy) {
        if (auto const planned = packed_plan::make(*torrent->packed, image.device, {}); !planned) {
            return tl::unexpected(error{planned.error().message});
        }
    }
    auto const decision = detect_storage_class(image.device);
    auto const cls = image.profile.value_or(decision.cls);
    return std::string(to_string(image.mode)) + (image.mode == image_mode::seed ? " from " : " to ") + image.device +
           ": " + size_text(*torrent) + ", info-hash " + torrent->info_hash.to_hex() + "; " +
           display_name(decision.cls) + ", because " + decision.evidence + "; profile " + to_string(cls) + ", " +
           format_count(configured.profile(cls).threads, "thread");
}

} // namespace seedbed
