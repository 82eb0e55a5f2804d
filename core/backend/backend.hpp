#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <libtorrent/fwd.hpp>
#include <libtorrent/io_context.hpp>

#include "core/backend/libtorrent_disk.hpp"
#include "core/backend/memory_queue.hpp"
#include "core/backend/served_image.hpp"
#include "core/cache/block_pool.hpp"
#include "core/cache/piece_cache.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// Options of the backend. Each part can be switched off to measure its effect.
struct backend_options {
    int cache_stripes = 32; ///< a power of two
    std::optional<std::int64_t>
        cache_bytes; ///< clean blocks that are kept; by default as many as the pool has room for
    hasher_options hashing;
    bool huge_pages = true;      ///< for the pool, if the kernel supports them
    bool populate = true;        ///< back blocks with memory before their first use, in the background
    bool register_memory = true; ///< pin the pool if a device uses io_uring
};

/// Everything that sessions share: the block pool, the cache, the hash workers and the images on their devices.
/// Outlives the sessions.
///
/// Threads: every member may be called from any thread.
class backend final : public block_lender {
public:
    /// \param pool_bytes size of the block pool. \param hash_threads at least 1.
    backend(std::int64_t pool_bytes, int hash_threads, backend_options options = {});
    backend(backend const&) = delete;
    backend& operator=(backend const&) = delete;
    ~backend();

    /// Builds an image for this backend, which the image must not outlive: its blocks are in the backend's cache. If
    /// the image uses a ring, this takes as long as pinning the pool's memory. Fails if the system provides no threads
    /// or no memory. \param device at least torrent.extents.device_end() bytes long.
    [[nodiscard]] result<std::unique_ptr<served_image>>
    make_image(image_torrent torrent, std::unique_ptr<block_device> device, io_profile const& profile);
    /// Registers an image made by make_image(), so that a torrent with the same info-hash finds its device. Fails if an
    /// image with that info-hash is already registered.
    [[nodiscard]] result<void> add_image(std::shared_ptr<served_image> image);
    /// Unregisters an image; sessions that use it keep it until they have removed its torrent.
    void remove_image(info_hash const& key);
    /// The image, or null.
    [[nodiscard]] std::shared_ptr<served_image> find_image(info_hash const& key) const;

    /// The key of an image: its info-hash as in libtorrent's storage_params; for a hybrid torrent, that of v2.
    [[nodiscard]] static info_hash key_of(image_torrent const& torrent);

    [[nodiscard]] block_pool& pool() noexcept { return m_pool; }
    [[nodiscard]] piece_cache& cache() noexcept { return m_cache; }
    [[nodiscard]] worker_pool& hash_workers() noexcept { return m_hash_workers; }

    /// Makes the dirty blocks of all images leave now: memory is short, or a session ends.
    void expedite();
    /// Changes the size of the pool and the limit on cached clean blocks, in bytes.
    void resize(std::int64_t pool_bytes, std::optional<std::int64_t> cache_bytes);

    /// Reads that wait for memory. Blocks stay in memory until their peers have taken them: without a bound, a hundred
    /// slow peers would fill the machine's memory.
    [[nodiscard]] memory_queue& waiting_for_memory() noexcept { return m_waiting_for_memory; }

    /// Called by libtorrent to return a block. \p block may point anywhere into it.
    void free_disk_buffer(char* block) override {
        m_pool.release(m_pool.index_of(block));
        m_waiting_for_memory.retry();
    }

private:
    using clock = image_io::clock;

    [[nodiscard]] std::vector<std::shared_ptr<served_image>> images() const;
    /// Makes the flusher check the images by that time.
    void wake_by(clock::time_point due);
    void run_flusher();
    /// Writes the blocks that are due. \return when the next block is due.
    [[nodiscard]] clock::time_point flush_due();

    backend_options const m_options;
    block_pool m_pool;
    piece_cache m_cache;
    memory_queue m_waiting_for_memory;
    worker_pool m_hash_workers;
    mutable std::mutex m_mutex;
    std::map<info_hash, std::shared_ptr<served_image>> m_images;
    mutable std::vector<std::weak_ptr<served_image>>
        m_removed; ///< removed but still used: their dirty blocks must leave, too
    std::atomic<std::uint32_t> m_next_number{0};

    std::atomic<clock::rep> m_wake_at; ///< when the flusher wakes by itself
    std::mutex m_flusher_mutex;        ///< guards the next two members
    std::condition_variable m_flusher_wake;
    bool m_poked = false;
    bool m_stop = false;
    std::thread m_flusher; ///< last; writes the blocks that are due
};

/// Creates a session's adapter to \p shared, for lt::session_params::disk_io_constructor. The backend must outlive it.
[[nodiscard]] std::unique_ptr<libtorrent::disk_interface> make_disk_io(std::shared_ptr<backend> shared,
                                                                       libtorrent::io_context& context,
                                                                       libtorrent::settings_interface const& settings,
                                                                       libtorrent::counters& counters);

} // namespace seedbed
