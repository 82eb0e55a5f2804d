#include "core/backend/backend.hpp"

#include <utility>

#include <libtorrent/torrent_info.hpp>

namespace seedbed {

backend::backend(std::int64_t pool_bytes, int hash_threads)
    : m_pool(pool_bytes)
    , m_hash_workers("hash", hash_threads) {}

backend::~backend() = default;

libtorrent::sha1_hash backend::key_of(image_torrent const& torrent) {
    return torrent.info->info_hashes().get_best();
}

result<void> backend::add_image(std::shared_ptr<image_storage> image) {
    auto const key = key_of(image->torrent());
    std::scoped_lock const lock(m_mutex);
    auto const [at, added] = m_images.try_emplace(key, image);
    if (!added) {
        return tl::unexpected(error{"the torrent " + image->torrent().info_hash + " is already served from " +
                                    at->second->device().path()});
    }
    return {};
}

void backend::remove_image(libtorrent::sha1_hash const& info_hash) {
    std::shared_ptr<image_storage> removed; // closed after the lock
    std::scoped_lock const lock(m_mutex);
    if (auto const at = m_images.find(info_hash); at != m_images.end()) {
        removed = std::move(at->second);
        m_images.erase(at);
    }
}

std::shared_ptr<image_storage> backend::find_image(libtorrent::sha1_hash const& info_hash) const {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_images.find(info_hash);
    return at != m_images.end() ? at->second : nullptr;
}

} // namespace seedbed
