#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/cache/block_pool.hpp"
#include "core/cache/block_waiter.hpp"
#include "core/cache/cache_stripe.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// How much of the pool may be in use when a block is taken and no clean one can be evicted.
///
/// Blocks being sent stay in memory for as long as the slowest peer takes. Without a bound, reads alone could take any
/// amount, so they wait. Blocks that are only passing through may take a little more. Writes cannot wait: they take
/// what they need, and their senders pause.
enum class memory_share : std::uint8_t {
    nothing, ///< only blocks that are already in memory
    read,    ///< the pool's size plus 8 MiB
    passing, ///< the pool's size plus 16 MiB
    any
};

/// All blocks in memory: those on their way to a device, those on their way from one, and those kept because a peer may
/// request them again. One pool serves all three, so that any mix can use all of it.
///
/// The states of a block, and every legal transition (is_legal() in cache_stripe.hpp):
///
///     absent -> dirty -> flushing -> clean -> absent        written
///     absent -> filling -> clean -> absent                  read
///     dirty, clean -> absent                                a newer write has taken its place
///     flushing -> absent                                    its write failed, and its image with it; or a newer
///                                                           block, dirty behind it, has taken its place
///     filling -> absent                                     its read failed, or a write has taken its place
///
/// Only clean blocks are evicted. Blocks that a peer has had go first, the least recently used first, across all
/// stripes: a peer that has had a block does not request it again, while a block that was read ahead is about to be
/// requested. But a read-ahead block that is still unused after twice the pool's size in other blocks has turned clean
/// goes first of all: the peer it was read for is gone.
///
/// Pieces are distributed over stripes, each with its own lock; all blocks of a piece are in one stripe. A stripe's
/// lock is held for a look-up or a change of state, never while a thread waits. No memory is allocated per block: the
/// data about a block is in a table parallel to the pool, at the block's number.
///
/// Threads: every member may be called from any thread.
class piece_cache {
public:
    /// \param pool must outlive the cache; no other cache may use it. \param stripes a power of two.
    piece_cache(block_pool& pool, int stripes);
    piece_cache(piece_cache const&) = delete;
    piece_cache& operator=(piece_cache const&) = delete;
    ~piece_cache();

    // --- reading

    /// Consecutive blocks of a piece to read from the device.
    struct fill {
        block_key first;
        std::vector<block_ref> blocks;
    };
    enum class lookup { hit, waiting, must_fill, no_memory };

    /// Looks up a block.
    ///
    /// hit: \p found holds it. waiting: it is being read, and \p waiter is taken. must_fill: \p waiter is taken, and
    /// the caller must read the blocks in \p wanted (whose memory is reused) and call end_fill(). Those are the block
    /// and its absent neighbours within [\p begin, \p end) of the piece, as far as there is memory for them. no_memory:
    /// nothing was taken. \param uses false for a hash, which is computed before a peer requests the block. \param most
    /// how much of the pool the block may take; see memory_share. Throws std::bad_alloc before anything has changed.
    [[nodiscard]] lookup read(block_key const& key, std::int32_t begin, std::int32_t end, block_waiter* waiter,
                              block_ref& found, fill& wanted, bool uses = true, memory_share most = memory_share::any);
    /// The blocks have been read, or the read failed. \return their waiters, each with its block if \p success.
    [[nodiscard]] waiter_list end_fill(fill const& done, bool success);
    /// Collects the blocks [begin, end) of a piece that are in memory with valid content; the others get empty refs.
    /// \return the number of blocks found.
    int collect(std::uint32_t image, piece_index piece, std::int32_t begin, std::int32_t end,
                std::span<block_ref> found);

    // --- writing

    /// Memory for a block to write. Evicts clean blocks, and exceeds the pool's size if there are none. Empty only if
    /// the reservation is exhausted.
    [[nodiscard]] block_ref allocate_for_write() { return allocate_block(memory_share::any); }
    /// Memory for a block that is in no table. Evicts clean blocks.
    [[nodiscard]] block_ref allocate_block(memory_share most);
    /// Whether the pool exceeds its size by so much that every sender must pause, however few blocks it has sent.
    [[nodiscard]] bool overdrawn() const noexcept;

    /// Makes a block dirty. \p waiter is handed back by the end_flush() after which the content is on the device.
    /// \return true if the caller must have the block flushed; false if it is already dirty, or in flight: end_flush()
    /// then reports it as dirty again.
    [[nodiscard]] bool write(block_key const& key, block_ref block, std::int32_t length, block_waiter* waiter);

    /// A dirty block, taken for a write.
    struct flush_item {
        std::int32_t block = 0;
        std::int32_t length = 0; ///< bytes
        block_ref memory;
    };
    /// Takes the dirty blocks at the beginning of [begin, end) of a piece, which become flushing, and appends them to
    /// \p taken. Throws std::bad_alloc if there is no memory for that; blocks already appended are taken. \return the
    /// first block that was not taken.
    std::int32_t begin_flush(std::uint32_t image, piece_index piece, std::int32_t begin, std::int32_t end,
                             std::vector<flush_item>& taken);
    /// The writes of these blocks have ended. \p dirty_again receives the numbers of those that were written again
    /// meanwhile; it must have room for them. \return the waiters of the content that was in flight.
    [[nodiscard]] waiter_list end_flush(std::uint32_t image, piece_index piece, std::span<flush_item const> items,
                                        bool success, std::vector<std::int32_t>& dirty_again);

    // --- housekeeping

    /// Discards the clean blocks of an image.
    void drop_clean(std::uint32_t image);
    /// Discards those of the blocks [begin, end) of a piece that are clean.
    void drop_clean(std::uint32_t image, piece_index piece, std::int32_t begin, std::int32_t end);
    /// Sets how many clean blocks are kept at most, in bytes; 0 keeps none.
    void set_clean_limit(std::int64_t bytes);
    /// In blocks.
    [[nodiscard]] std::int64_t clean_limit() const noexcept { return m_clean_limit.load(std::memory_order_relaxed); }
    /// Must be called after the pool's size has changed.
    void pool_resized();
    /// Evicts clean blocks until no more memory is in use than the pool's size. Cheap if there is nothing to do.
    void trim();

    struct statistics {
        std::uint64_t hits = 0;   ///< reads that found their block in memory or being read
        std::uint64_t misses = 0; ///< reads that had to go to the device
        std::uint64_t locks = 0;
        std::uint64_t contended = 0; ///< locks that a thread had to wait for
        std::int64_t clean = 0;      ///< blocks
        std::int64_t dirty = 0;      ///< blocks, including those that are flushing
        std::int64_t filling = 0;    ///< blocks
    };
    [[nodiscard]] statistics stats() const;

    /// In blocks.
    [[nodiscard]] std::int64_t capacity() const noexcept { return static_cast<std::int64_t>(m_pool.capacity()); }
    /// Blocks that are being read.
    [[nodiscard]] std::int64_t filling() const noexcept { return m_filling.load(std::memory_order_relaxed); }
    /// Blocks that are dirty or flushing.
    [[nodiscard]] std::int64_t dirty() const noexcept { return m_dirty.load(std::memory_order_relaxed); }
    /// Blocks that could be handed out now: free and clean ones.
    [[nodiscard]] std::int64_t available() const noexcept;

    /// Whether tables, lists and counters are consistent; for tests. Takes every lock.
    [[nodiscard]] bool invariant_holds() const;

private:
    [[nodiscard]] cache_stripe& stripe_of(std::uint32_t image, piece_index piece) noexcept;
    [[nodiscard]] block_entry& at(block_index index) const noexcept {
        return m_table[static_cast<std::size_t>(static_cast<std::uint32_t>(index))];
    }
    /// A new reference to a block.
    [[nodiscard]] block_ref share(block_index index) noexcept;

    // These need the stripe's lock:
    void insert_locked(cache_stripe& in, block_key const& key, block_index index, std::int32_t length) noexcept;
    [[nodiscard]] lookup begin_fill_locked(cache_stripe& in, block_key const& key, std::int32_t begin, std::int32_t end,
                                           block_ref block, fill& wanted);
    void write_behind_locked(block_key const& key, block_entry& flushing, block_index index, std::int32_t length,
                             block_waiter* waiter) noexcept;
    void turn_clean_locked(cache_stripe& in, block_index index) noexcept;
    /// Removes a block that has no waiters, and drops the cache's reference.
    void remove_locked(cache_stripe& in, block_index index) noexcept;
    void remove_clean_locked(cache_stripe& in, block_index index) noexcept;

    /// Why a block is evicted: to free memory, for which a block in use elsewhere is no help, or because too many
    /// blocks are kept.
    enum class reason : std::uint8_t { memory, limit };
    bool evict_one_locked(cache_stripe& in, bool fresh, reason why) noexcept;
    /// Evicts the least recently used block of all stripes, or nearly so. \param held the stripe whose lock the caller
    /// holds, or null.
    bool evict_one(cache_stripe* held, reason why) noexcept;
    bool evict_any(cache_stripe const* held, reason why) noexcept;
    bool evict_from(cache_stripe& victim, cache_stripe const* held, bool fresh, reason why) noexcept;
    [[nodiscard]] block_ref allocate(cache_stripe* held) noexcept;
    [[nodiscard]] block_ref allocate(cache_stripe* held, memory_share most) noexcept;

    block_pool& m_pool;
    block_table m_table;
    std::vector<cache_stripe> m_stripes;
    std::atomic<std::uint64_t> m_clock{0};   ///< blocks that were put into lists
    std::atomic<std::uint64_t> m_entered{0}; ///< blocks that have turned clean
    std::atomic<std::int64_t> m_clean{0};
    std::atomic<std::int64_t> m_dirty{0};
    std::atomic<std::int64_t> m_filling{0};
    std::atomic<std::int64_t> m_clean_limit;
};

} // namespace seedbed
