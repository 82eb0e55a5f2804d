#include "core/backend/backend.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <new>
#include <utility>

#include <libtorrent/torrent_info.hpp>

#include "core/device/uring_io_queue.hpp"

namespace seedbed {

namespace {

constexpr auto never = std::numeric_limits<image_io::clock::rep>::max();
/// Reads that wait for memory are tried again at least so often.
constexpr std::chrono::milliseconds retry_interval{20};

} // namespace

backend::backend(std::int64_t pool_bytes, int hash_threads, backend_options options)
    : m_options(options)
    , m_pool(pool_bytes, options.huge_pages)
    , m_cache(m_pool, options.cache_shards)
    , m_starving([this] { wake_by(clock::now() + retry_interval); })
    , m_hash_workers("hash", hash_threads)
    , m_wake_at(never)
    , m_flusher([this] { run_flusher(); }) {
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
    m_cache.set_clean_limit(cache_bytes.value_or(std::numeric_limits<std::int64_t>::max()));
    m_cache.pool_resized();
    m_starving.retry();
}

std::vector<std::shared_ptr<image_storage>> backend::images() const {
    std::vector<std::shared_ptr<image_storage>> all;
    std::scoped_lock const lock(m_mutex);
    for (auto const& [key, image] : m_images) {
        all.push_back(image);
    }
    std::erase_if(m_removed, [&all](std::weak_ptr<image_storage> const& each) {
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
        return; // the flusher looks in time by itself
    }
    {
        std::scoped_lock const lock(m_flusher_mutex);
        m_poked = true;
    }
    m_flusher_wake.notify_one();
}

void backend::run_flusher() {
    auto populated = m_options.populate ? std::optional<std::size_t>(0) : std::nullopt;
    std::unique_lock lock(m_flusher_mutex);
    while (!m_stop) {
        // First never, then the look: a block that comes after the look finds never, and pokes.
        m_wake_at.store(never);
        m_poked = false;
        lock.unlock();
        auto const wake_at = flush_due();
        m_wake_at.store(wake_at.time_since_epoch().count());
        if (populated) {
            populated = m_pool.populate(*populated);
            lock.lock();
            continue;
        }
        lock.lock();
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
    m_starving.retry();
    return m_starving.waiting() ? std::min(next, clock::now() + retry_interval) : next;
}

libtorrent::sha1_hash backend::key_of(image_torrent const& torrent) {
    return torrent.info->info_hashes().get_best();
}

result<void> backend::add_image(std::shared_ptr<image_storage> image) {
    auto const key = key_of(image->torrent());
    auto const refuse_locked = [&]() -> std::optional<error> {
        if (auto const there = m_images.find(key); there != m_images.end()) {
            return error{"the torrent " + image->torrent().info_hash + " is already served from " +
                         there->second->device().path()};
        }
        return std::nullopt;
    };
    std::uint32_t number = 0;
    {
        std::scoped_lock const lock(m_mutex);
        if (auto refused = refuse_locked()) {
            return tl::unexpected(std::move(*refused));
        }
        number = m_next_number++;
    }
    // Without the lock: registering the pool with a ring pins all of it, which takes a while, and sessions look for
    // their images meanwhile.
    if (!image->attached()) { // it was, where it comes back after it was removed
        engine_options options;
        if (m_options.register_memory && wants_ring(image->device(), image->profile())) {
            options.registered_memory = m_pool.pin();
        }
        options.on_dirty = [this](clock::time_point due) { wake_by(due); };
        options.on_freed = [this] { m_starving.retry(); };
        try {
            image->attach(number, m_cache, std::move(options));
            image->start_hasher(image, m_hash_workers, m_options.hashing);
        } catch (std::exception const& failed) { // no more threads, or no memory
            return tl::unexpected(error{image->device().path() + ": can not be served: " + failed.what()});
        }
    }
    std::scoped_lock const lock(m_mutex);
    if (auto refused = refuse_locked()) {
        return tl::unexpected(std::move(*refused));
    }
    m_images.emplace(key, std::move(image));
    return {};
}

void backend::remove_image(libtorrent::sha1_hash const& info_hash) {
    std::shared_ptr<image_storage> removed; // closed after the lock
    std::scoped_lock const lock(m_mutex);
    if (auto const at = m_images.find(info_hash); at != m_images.end()) {
        removed = std::move(at->second);
        m_images.erase(at);
        m_removed.emplace_back(removed);
    }
}

std::shared_ptr<image_storage> backend::find_image(libtorrent::sha1_hash const& info_hash) const {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_images.find(info_hash);
    return at != m_images.end() ? at->second : nullptr;
}

} // namespace seedbed
