// piece_cache: memory for blocks, and which clean blocks to evict for it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

#include "core/cache/piece_cache.hpp"

namespace seedbed {

namespace {

/// How many blocks in use elsewhere are skipped in the search for one whose eviction frees memory.
constexpr int max_passed_over = 16;
constexpr int max_stripes_tried = 16;

/// Blocks that may be taken beyond the pool's size.
constexpr std::size_t beyond(memory_share share) noexcept {
    constexpr std::size_t mib = (std::size_t{1} << 20) / block_size;
    return share == memory_share::any ? block_pool::any : share == memory_share::passing ? 16 * mib : 8 * mib;
}

} // namespace

void piece_cache::remove_clean_locked(cache_stripe& in, block_index index) noexcept {
    in.lru_remove(m_table, index);
    m_clean.fetch_sub(1, std::memory_order_relaxed);
    remove_locked(in, index);
}

bool piece_cache::evict_one_locked(cache_stripe& in, bool fresh, reason why) noexcept {
    auto const& list = in.clean[fresh ? 1 : 0];
    for (int passed = 0; list.oldest != 0 && passed < max_passed_over; ++passed) {
        auto const index = block_index{list.oldest - 1};
        if (why == reason::memory && m_pool.references(index) > 1) {
            in.lru_remove(m_table, index); // being sent: eviction would not free its memory
            in.lru_push(m_table, index, m_clock.fetch_add(1, std::memory_order_relaxed));
            continue;
        }
        remove_clean_locked(in, index);
        return true;
    }
    return false;
}

bool piece_cache::evict_from(cache_stripe& victim, cache_stripe const* held, bool fresh, reason why) noexcept {
    if (&victim == held) {
        return evict_one_locked(victim, fresh, why);
    }
    // Never wait while holding a lock: two threads could wait for each other.
    std::unique_lock const lock(victim.mutex, std::try_to_lock);
    return lock.owns_lock() && evict_one_locked(victim, fresh, why);
}

bool piece_cache::evict_one(cache_stripe* held, reason why) noexcept {
    std::array<cache_stripe*, 2> oldest{};
    std::array<std::uint64_t, 2> used_at{lru_list::never, lru_list::never};
    for (auto& each : m_stripes) {
        for (std::size_t fresh = 0; fresh < 2; ++fresh) {
            auto const at = each.clean[fresh].oldest_used_at.load(std::memory_order_relaxed);
            if (at < used_at[fresh]) {
                used_at[fresh] = at;
                oldest[fresh] = &each;
            }
        }
    }
    auto const forgotten =
        oldest[1] != nullptr && oldest[1]->oldest_entered.load(std::memory_order_relaxed) + 2 * m_pool.capacity() <
                                    m_entered.load(std::memory_order_relaxed);
    for (bool const fresh : {forgotten, !forgotten}) {
        auto* const victim = oldest[fresh ? 1 : 0];
        if (victim != nullptr && evict_from(*victim, held, fresh, why)) {
            return true;
        }
    }
    return evict_any(held, why);
}

/// Called when another thread has the lock of the best stripe, or all old blocks there are in use: any other will do.
/// The search is short, because it costs more than it gains if most of the cache is in use.
bool piece_cache::evict_any(cache_stripe const* held, reason why) noexcept {
    auto const start = m_clock.load(std::memory_order_relaxed);
    int left = max_stripes_tried;
    for (bool const fresh : {false, true}) {
        for (std::size_t i = 0; i < m_stripes.size() && left > 0; ++i) {
            auto& each = m_stripes[(start + i) & (m_stripes.size() - 1)];
            if (each.clean[fresh ? 1 : 0].oldest_used_at.load(std::memory_order_relaxed) == lru_list::never) {
                continue;
            }
            --left;
            if (evict_from(each, held, fresh, why)) {
                return true;
            }
        }
    }
    return false;
}

block_ref piece_cache::allocate(cache_stripe* held) noexcept {
    for (;;) {
        if (auto block = m_pool.allocate()) {
            return block;
        }
        if (m_clean.load(std::memory_order_relaxed) == 0 || !evict_one(held, reason::memory)) {
            return {};
        }
    }
}

block_ref piece_cache::allocate(cache_stripe* held, memory_share most) noexcept {
    auto block = allocate(held);
    return block ? std::move(block) : m_pool.allocate_beyond(beyond(most));
}

block_ref piece_cache::allocate_block(memory_share most) {
    return allocate(nullptr, most);
}

bool piece_cache::overdrawn() const noexcept {
    return m_pool.in_use() > m_pool.capacity() + beyond(memory_share::passing);
}

void piece_cache::turn_clean_locked(cache_stripe& in, block_index index) noexcept {
    auto& cleaned = at(index);
    cleaned.become(block_state::clean);
    cleaned.entered_at = m_entered.fetch_add(1, std::memory_order_relaxed);
    in.lru_push(m_table, index, m_clock.fetch_add(1, std::memory_order_relaxed));
    if (m_clean.fetch_add(1, std::memory_order_relaxed) >= m_clean_limit.load(std::memory_order_relaxed)) {
        static_cast<void>(evict_one(&in, reason::limit));
    } else if (m_pool.in_use() > m_pool.capacity()) {
        static_cast<void>(evict_one(&in, reason::memory));
    }
}

void piece_cache::set_clean_limit(std::int64_t bytes) {
    m_clean_limit.store(bytes / block_size, std::memory_order_relaxed);
    trim();
}

void piece_cache::trim() {
    auto const clean = m_clean.load(std::memory_order_relaxed);
    if (clean == 0 ||
        (clean <= m_clean_limit.load(std::memory_order_relaxed) && m_pool.in_use() <= m_pool.capacity())) {
        return;
    }
    while (m_clean.load(std::memory_order_relaxed) > m_clean_limit.load(std::memory_order_relaxed) &&
           evict_one(nullptr, reason::limit)) {
    }
    while (m_pool.in_use() > m_pool.capacity() && evict_one(nullptr, reason::memory)) {
    }
}

void piece_cache::drop_clean(std::uint32_t image) {
    for (auto& each : m_stripes) {
        stripe_lock const lock(each, m_table, m_pool);
        for (auto const& list : each.clean) {
            for (auto link = list.oldest; link != 0;) {
                auto const index = block_index{link - 1};
                link = at(index).lru_next;
                if (at(index).key.image == image) {
                    remove_clean_locked(each, index);
                }
            }
        }
    }
}

void piece_cache::drop_clean(std::uint32_t image, piece_index piece, std::int32_t begin, std::int32_t end) {
    auto& in = stripe_of(image, piece);
    stripe_lock const lock(in, m_table, m_pool);
    for (auto block = begin; block < end; ++block) {
        auto const index = in.find(m_table, {image, piece, block});
        if (index != no_block && at(index).state == block_state::clean) {
            remove_clean_locked(in, index);
        }
    }
}

} // namespace seedbed
