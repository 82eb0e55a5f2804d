#include "core/backend/backend.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <new>
#include <utility>

#include <libtorrent/torrent_info.hpp>

#include "core/device/uring_io_queue.hpp"
#include "core/image/libtorrent_hash.hpp"

namespace seedbed {

namespace {

constexpr auto never = std::numeric_limits<image_io::clock::rep>::max();
/// Reads that wait for memory are retried at least this often.
constexpr std::chrono::milliseconds retry_interval{20};

} // namespace

backend::backend(std::int64_t pool_bytes, int hash_threads, backend_options options)
    : m_options(options)
    , m_pool(pool_bytes, options.huge_pages)
    , m_cache(m_pool, options.cache_stripes)
    , m_waiting_for_memory([this] { wake_by(clock::now() + retry_interval); })
    , m_hash_workers("hash", hash_threads)
    , m_wake_at(never)
    , m_flusher([this] { run_flusher(); }) {
    if (options.populate) {
        m_pool.on_growth([this] { wake_by(clock::time_point::min()); });
    }
    if (options.cache_bytes) {
        m_cache.set_clean_limit(*options.cache_bytes);
    }
}

backend::~backend() {
    {
        std::scoped_lock const lock(m_flusher_mutex);
        m_stop = true;
    }
    m_flusher_wake.notify_one();
    m_flusher.join();
    m_images.clear();
}

void backend::resize(std::int64_t pool_bytes, std::optional<std::int64_t> cache_bytes) {
    m_pool.set_capacity(pool_bytes);
    wake_by(clock::time_point::min()); // there may be more to populate
    m_cache.set_clean_limit(cache_bytes.value_or(std::numeric_limits<std::int64_t>::max()));
    m_cache.pool_resized();
    m_waiting_for_memory.retry();
}

std::vector<std::shared_ptr<served_image>> backend::images() const {
    std::vector<std::shared_ptr<served_image>> all;
    std::scoped_lock const lock(m_mutex);
    for (auto const& [key, image] : m_images) {
        all.push_back(image);
    }
    std::erase_if(m_removed, [&all](std::weak_ptr<served_image> const& each) {
        if (auto image = each.lock()) {
            all.push_back(std::move(image));
            return false;
        }
        return true;
    });
    return all;
}

void backend::expedite() {
    for (auto const& image : images()) {
        image->io().expedite();
    }
}

void backend::wake_by(clock::time_point due) {
    if (due.time_since_epoch().count() >= m_wake_at.load()) {
        return; // the flusher wakes in time anyway
    }
    {
        std::scoped_lock const lock(m_flusher_mutex);
        m_poked = true;
    }
    m_flusher_wake.notify_one();
}

void backend::run_flusher() {
    std::unique_lock lock(m_flusher_mutex);
    while (!m_stop) {
        // Set `never` before looking: a block that arrives after the look finds `never`, and wakes the flusher again.
        m_wake_at.store(never);
        m_poked = false;
        lock.unlock();
        auto const wake_at = flush_due();
        m_wake_at.store(wake_at.time_since_epoch().count());
        auto const populated = m_options.populate && m_pool.populate(m_pool.to_populate());
        lock.lock();
        if (populated) {
            continue; // more may be wanted
        }
        auto const woken = [this] { return m_poked || m_stop; };
        if (wake_at == clock::time_point::max()) {
            m_flusher_wake.wait(lock, woken);
        } else {
            m_flusher_wake.wait_until(lock, wake_at, woken);
        }
    }
}

backend::clock::time_point backend::flush_due() {
    auto next = clock::time_point::max();
    try {
        for (auto const& image : images()) {
            image->io().take_due(clock::now());
            next = std::min(next, image->io().next_due().value_or(next));
        }
    } catch (std::bad_alloc const&) {
        next = clock::now() + retry_interval;
    }
    m_waiting_for_memory.retry();
    return m_waiting_for_memory.waiting() ? std::min(next, clock::now() + retry_interval) : next;
}

info_hash backend::key_of(image_torrent const& torrent) {
    return to_info_hash(torrent.info->info_hashes().get_best());
}

result<std::unique_ptr<served_image>> backend::make_image(image_torrent torrent, std::unique_ptr<block_device> device,
                                                          io_profile const& profile) {
    auto const path = device->path();
    try {
        engine_options engine;
        if (m_options.register_memory && wants_ring(*device, profile)) {
            engine.registered_memory = m_pool.pin();
        }
        engine.on_dirty = [this](clock::time_point due) { wake_by(due); };
        engine.on_freed = [this] { m_waiting_for_memory.retry(); };
        return std::make_unique<served_image>(
            std::move(torrent), std::move(device), profile,
            image_environment{m_next_number++, m_cache, m_hash_workers, std::move(engine), m_options.hashing});
    } catch (std::exception const& failed) { // no more threads, or no memory
        return tl::unexpected(error{path + ": cannot be served: " + failed.what()});
    }
}

result<void> backend::add_image(std::shared_ptr<served_image> image) {
    auto const key = key_of(image->torrent());
    std::scoped_lock const lock(m_mutex);
    if (auto const known = m_images.find(key); known != m_images.end()) {
        return tl::unexpected(error{"the torrent " + image->torrent().info_hash.to_hex() + " is already served from " +
                                    known->second->device().path()});
    }
    m_images.emplace(key, std::move(image));
    return {};
}

void backend::remove_image(info_hash const& key) {
    std::shared_ptr<served_image> removed; // closed after the lock is released
    std::scoped_lock const lock(m_mutex);
    if (auto const at = m_images.find(key); at != m_images.end()) {
        removed = std::move(at->second);
        m_images.erase(at);
        m_removed.emplace_back(removed);
    }
}

std::shared_ptr<served_image> backend::find_image(info_hash const& key) const {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_images.find(key);
    return at != m_images.end() ? at->second : nullptr;
}

} // namespace seedbed
