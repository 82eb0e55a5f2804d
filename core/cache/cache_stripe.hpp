#pragma once

// Private to piece_cache: include it in its files only.

#include <array>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <vector>

#include "core/cache/block_pool.hpp"
#include "core/cache/block_waiter.hpp"
#include "core/foundation/lazy_array.hpp"

namespace seedbed {

/// The state of a block of the pool, as seen by the cache.
enum class block_state : std::uint8_t { absent, filling, dirty, flushing, clean };

/// The legal transitions. Illegal are filling -> dirty (a write takes a block of its own), flushing -> dirty (a block
/// that is written again while in flight gets a newer one behind it), and every transition to clean without a transfer.
[[nodiscard]] constexpr bool is_legal(block_state from, block_state to) noexcept {
    switch (from) {
    case block_state::absent:
        return to == block_state::filling || to == block_state::dirty;
    case block_state::filling: // read; or the read failed, or a write has taken the block's place
        return to == block_state::clean || to == block_state::absent;
    case block_state::dirty: // in flight; or a newer write has taken its place
        return to == block_state::flushing || to == block_state::absent;
    case block_state::flushing: // written; or the write failed, or a newer block has taken its place
        return to == block_state::clean || to == block_state::absent;
    case block_state::clean: // evicted, dropped, or written again
        return to == block_state::absent;
    }
    return false;
}

/// The cache's data about a block of the pool, at the index of the block. Guarded by the stripe's lock while the block
/// is in a stripe.
struct block_entry {
    block_key key;
    std::int32_t length = 0; ///< bytes, of a dirty block
    block_state state = block_state::absent;
    bool detached = false; ///< filling, but no longer found: the block was written meanwhile
    bool has_newer = false;
    bool fresh = false;           ///< read, and not yet used by a peer
    block_index newer{};          ///< the dirty block behind a flushing one
    std::uint32_t next = 0;       ///< next entry of the bucket, plus one; 0 ends the list
    std::uint32_t lru_prev = 0;   ///< plus one
    std::uint32_t lru_next = 0;   ///< plus one
    std::uint64_t used_at = 0;    ///< the cache's clock when the block entered its list
    std::uint64_t entered_at = 0; ///< the number of blocks that had turned clean before it
    block_waiter* first = nullptr;
    block_waiter* last = nullptr;

    /// The only way to change the state.
    void become(block_state to) noexcept {
        assert(is_legal(state, to));
        state = to;
    }
    /// Starts to use an absent block.
    void begin(block_key const& what, block_state as) noexcept {
        assert(state == block_state::absent);
        *this = block_entry{};
        key = what;
        fresh = as == block_state::filling;
        become(as);
    }

    void add_waiter(block_waiter* waiter) noexcept {
        if (waiter != nullptr) {
            waiter_list list{first, last};
            list.push(waiter);
            first = list.first;
            last = list.last;
        }
    }
    void set_waiters(waiter_list list) noexcept {
        first = list.first;
        last = list.last;
    }
    [[nodiscard]] waiter_list take_waiters() noexcept {
        waiter_list const taken{first, last};
        set_waiters({});
        return taken;
    }
};
/// One entry per block of the pool. A zeroed entry is an absent block.
using block_table = lazy_array<block_entry>;

/// Clean blocks, least recently used first.
struct lru_list {
    static constexpr std::uint64_t never = ~std::uint64_t{0};

    std::uint32_t oldest = 0; ///< plus one
    std::uint32_t newest = 0;
    /// used_at of the oldest, or never; read without the lock in the search for memory.
    std::atomic<std::uint64_t> oldest_used_at{never};
};

/// A part of the cache with its own lock: the blocks of its pieces that are in memory, and the clean ones in the order
/// of use.
///
/// Threads: the lock must be held for every function; see stripe_lock.
struct alignas(64) cache_stripe {
    mutable std::mutex mutex;
    std::vector<std::uint32_t> buckets;           ///< of entries, plus one
    std::array<lru_list, 2> clean;                ///< [0]: used by a peer, [1]: fresh
    std::atomic<std::uint64_t> oldest_entered{0}; ///< entered_at of the oldest fresh block, if there is one
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    mutable std::atomic<std::uint64_t> locks{0};
    mutable std::atomic<std::uint64_t> contended{0};

    [[nodiscard]] block_index find(block_table const& table, block_key const& key) const noexcept {
        for (auto link = buckets[bucket_of(key)]; link != 0; link = table[link - 1].next) {
            if (table[link - 1].key == key) {
                return block_index{link - 1};
            }
        }
        return no_block;
    }
    /// Makes a block findable by its key.
    void link(block_table const& table, block_index index) noexcept;
    void unlink(block_table const& table, block_index index) noexcept;
    /// Appends a clean block to its list. \param now the cache's clock.
    void lru_push(block_table const& table, block_index index, std::uint64_t now) noexcept;
    void lru_remove(block_table const& table, block_index index) noexcept;
    /// Grows the table to at least \p count buckets, a power of two. Throws std::bad_alloc before anything has changed.
    void grow(block_table const& table, std::size_t count);

    struct census {
        bool good = true; ///< tables, lists and states are consistent
        std::int64_t clean = 0;
        std::int64_t dirty = 0; ///< flushing ones included
        std::int64_t filling = 0;
    };
    /// Examines every block. For assertions and tests.
    [[nodiscard]] census take_census(block_table const& table, block_pool const& pool) const noexcept;

private:
    [[nodiscard]] std::size_t bucket_of(block_key const& key) const noexcept {
        auto const hash = hash_of_piece(key.image, key.piece) + static_cast<std::uint32_t>(key.block) * 0x9e37'79b1ULL;
        return static_cast<std::size_t>(hash & (buckets.size() - 1));
    }
};

/// Holds a stripe's lock, and counts the times it had to wait for it. In development builds it checks the stripe's
/// consistency first; that of a large stripe only now and then.
class stripe_lock {
public:
    stripe_lock(cache_stripe const& which, [[maybe_unused]] block_table const& table,
                [[maybe_unused]] block_pool const& pool)
        : m_lock(which.mutex, std::try_to_lock) {
        if (!m_lock.owns_lock()) {
            which.contended.fetch_add(1, std::memory_order_relaxed);
            m_lock.lock();
        }
        [[maybe_unused]] auto const count = which.locks.fetch_add(1, std::memory_order_relaxed);
#ifndef NDEBUG
        constexpr std::size_t small = 128; // buckets: checked each time
        assert(count % (which.buckets.size() / small + 1) != 0 || which.take_census(table, pool).good);
#endif
    }

private:
    std::unique_lock<std::mutex> m_lock;
};

} // namespace seedbed
