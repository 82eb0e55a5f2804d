#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/fwd.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/sha1_hash.hpp>

#include "core/backend/image_storage.hpp"
#include "core/cache/block_pool.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// All that sessions share: the block pool, the hash workers and the images on their devices. It outlives the sessions.
///
/// Threads: every member may be called from any thread.
class backend final : public libtorrent::buffer_allocator_interface {
public:
    /// \param pool_bytes size of the block pool. \param hash_threads at least 1.
    backend(std::int64_t pool_bytes, int hash_threads);
    backend(backend const&) = delete;
    backend& operator=(backend const&) = delete;
    ~backend();

    /// Makes an image known, so that a torrent of the same info-hash finds its device. Fails where one of that
    /// info-hash is there.
    [[nodiscard]] result<void> add_image(std::shared_ptr<image_storage> image);
    /// Forgets an image; sessions that use it keep it until their torrent is gone.
    void remove_image(libtorrent::sha1_hash const& info_hash);
    /// The image, or null.
    [[nodiscard]] std::shared_ptr<image_storage> find_image(libtorrent::sha1_hash const& info_hash) const;

    /// The key of an image: its info-hash as libtorrent's storage_params names it.
    [[nodiscard]] static libtorrent::sha1_hash key_of(image_torrent const& torrent);

    [[nodiscard]] block_pool& pool() noexcept { return m_pool; }
    [[nodiscard]] worker_pool& hash_workers() noexcept { return m_hash_workers; }

    /// libtorrent's way to give a block back.
    void free_disk_buffer(char* block) override { m_pool.free(block); }

private:
    block_pool m_pool;
    mutable std::mutex m_mutex;
    std::map<libtorrent::sha1_hash, std::shared_ptr<image_storage>> m_images;
    worker_pool m_hash_workers; ///< last: its threads end before what they use goes
};

/// Makes a session's adapter to \p shared, for lt::session_params::disk_io_constructor. The backend must outlive it.
[[nodiscard]] std::unique_ptr<libtorrent::disk_interface> make_disk_io(std::shared_ptr<backend> shared,
                                                                       libtorrent::io_context& context,
                                                                       libtorrent::settings_interface const& settings,
                                                                       libtorrent::counters& counters);

} // namespace seedbed
