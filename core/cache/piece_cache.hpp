#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/cache/block_pool.hpp"
#include "core/foundation/lazy_array.hpp"

namespace seedbed {

/// A block of an image: the key of the cache.
struct block_key {
    std::uint32_t image = 0; ///< number of the image, given by whoever shares the cache
    std::int32_t piece = 0;
    std::int32_t block = 0; ///< within the piece

    friend bool operator==(block_key const&, block_key const&) = default;
};

/// How much of the pool may be in use for a block to be had, where no clean one can be evicted.
///
/// Blocks that are being sent stay in memory for as long as the slowest peer takes, so that reads alone could take any
/// amount: they wait. What is on its way through, and frees itself, may take a little more; writes, which cannot wait,
/// take what they need, and their senders pause.
enum class memory_share : std::uint8_t {
    nothing, ///< only what is in memory is to be had
    read,    ///< the pool's size and 8 MiB
    passing, ///< the pool's size and 16 MiB
    any
};

/// Somebody who waits for a block: to be read (it then gets the block), or to be written. Belongs to the caller; the
/// cache links it into a list from the call that takes it until a call that hands it back.
struct block_waiter {
    block_waiter* next = nullptr;
    block_ref block; ///< set when a read is handed back; empty where it failed
};

/// Waiters in the order in which they came.
struct waiter_list {
    block_waiter* first = nullptr;
    block_waiter* last = nullptr;

    [[nodiscard]] bool empty() const noexcept { return first == nullptr; }
    void push(block_waiter* waiter) noexcept {
        waiter->next = nullptr;
        (empty() ? first : last->next) = waiter;
        last = waiter;
    }
    void push_front(block_waiter* waiter) noexcept {
        waiter->next = first;
        if (empty()) {
            last = waiter;
        }
        first = waiter;
    }
    void append(waiter_list other) noexcept {
        if (!other.empty()) {
            (empty() ? first : last->next) = other.first;
            last = other.last;
        }
    }
    [[nodiscard]] block_waiter* pop() noexcept {
        auto* const waiter = first;
        first = waiter->next;
        return waiter;
    }
};

/// All blocks that are in memory: those on their way to a device, those on their way from one, and those that are kept
/// since somebody may ask for them again. One pool serves all three, so that any mix can take all of it.
///
/// A block is in one of these states:
///
///     absent -> dirty -> flushing -> clean -> absent        written
///     absent -> filling -> clean -> absent                  read
///     clean, dirty -> dirty                                 written again
///     flushing, with a newer block behind it -> dirty       written again while on its way
///     dirty, flushing, filling -> absent                    its image has failed, or the read has
///
/// Only clean blocks are evicted. First go those that somebody has had, the least recently used first, across all
/// shards: what was read and not asked for yet is about to be, while one who has had a block does not come again. But
/// what has waited for twice the pool's worth of other blocks goes before these: whoever it was read for is gone.
///
/// Pieces are spread over shards, each with a lock of its own; a piece's blocks are all in one. A shard's lock is held
/// for a look-up or a change of state, never while anything waits. Nothing is allocated a block: what is known of a
/// block stands in a table beside the pool, in the place of the block's number.
///
/// Threads: every member may be called from any thread.
class piece_cache {
public:
    /// \param pool must outlive the cache and be used by nobody else for cached blocks. \param shards a power of two.
    piece_cache(block_pool& pool, int shards);
    piece_cache(piece_cache const&) = delete;
    piece_cache& operator=(piece_cache const&) = delete;
    ~piece_cache();

    // --- reading

    /// Blocks that are to be read from the device: consecutive ones of a piece.
    struct fill {
        block_key first;
        std::vector<block_ref> blocks;
    };
    enum class lookup { hit, waiting, must_fill, no_memory };

    /// Looks for a block.
    ///
    /// hit: \p found holds it. waiting: somebody is reading it, \p waiter is taken. must_fill: \p waiter is taken, and
    /// the caller must read the blocks in \p wanted (which has its memory reused) and call end_fill(). Those are the
    /// block and absent neighbours of it within [\p begin, \p end) of the piece, as many as there is memory for.
    /// no_memory: nothing was taken. \param uses who asks needs the block for itself; a hash, which is made before
    /// somebody asks, does not. \param most what of the pool the block may take: see memory_share. Throws
    /// std::bad_alloc, before anything has changed.
    [[nodiscard]] lookup read(block_key const& key, std::int32_t begin, std::int32_t end, block_waiter* waiter,
                              block_ref& found, fill& wanted, bool uses = true, memory_share most = memory_share::any);
    /// The blocks have been read, or could not be. \return those who waited; with a block where \p success.
    [[nodiscard]] waiter_list end_fill(fill const& done, bool success);
    /// Blocks [begin, end) of a piece that are in memory with valid content; empty refs for the others. \return how
    /// many.
    int collect(std::uint32_t image, std::int32_t piece, std::int32_t begin, std::int32_t end,
                std::span<block_ref> found);

    // --- writing

    /// Memory for a block that is to be written. Evicts clean blocks, and goes beyond the pool's size where there are
    /// none. Empty only where the reservation is used up.
    [[nodiscard]] block_ref allocate_for_write() { return allocate_block(memory_share::any); }
    /// Memory for a block that is in no table. Evicts clean blocks.
    [[nodiscard]] block_ref allocate_block(memory_share most);
    /// The pool lends so much that whoever brings blocks to be written must pause, however few are his.
    [[nodiscard]] bool overdrawn() const noexcept;

    /// Makes a block dirty. \p waiter is handed back by the end_flush() after which the content is on the device.
    /// \return true where the block was not dirty before: it is to be flushed; false where it is on its way and
    /// end_flush() will tell that it is dirty again.
    [[nodiscard]] bool write(block_key const& key, block_ref block, std::int32_t length, block_waiter* waiter);

    /// A dirty block, taken to be written.
    struct flush_item {
        std::int32_t block = 0;
        std::int32_t length = 0; ///< bytes
        block_ref memory;
    };
    /// Takes the consecutive dirty blocks [begin, end) of a piece, as far as they are dirty, and calls them flushing.
    /// Appends to \p taken; where there is no memory for that it throws std::bad_alloc, and what was appended is taken.
    /// \return the first block that was not taken.
    std::int32_t begin_flush(std::uint32_t image, std::int32_t piece, std::int32_t begin, std::int32_t end,
                             std::vector<flush_item>& taken);
    /// The writes of these blocks have ended. \p dirty_again gets the numbers of those that were written again
    /// meanwhile; it has room for them. \return those whose content has reached the device, or will never.
    [[nodiscard]] waiter_list end_flush(std::uint32_t image, std::int32_t piece, std::span<flush_item const> items,
                                        bool success, std::vector<std::int32_t>& dirty_again);

    // --- housekeeping

    /// Forgets the clean blocks of an image.
    void drop_clean(std::uint32_t image);
    /// How many clean blocks are kept at most, in bytes; 0 keeps none.
    void set_clean_limit(std::int64_t bytes);
    /// In blocks.
    [[nodiscard]] std::int64_t clean_limit() const noexcept { return m_clean_limit.load(std::memory_order_relaxed); }
    /// To be called after the pool's size has changed.
    void pool_resized();
    /// Evicts until no more is in use than the pool's size, as far as there are clean blocks. Cheap where nothing is to
    /// be done.
    void trim();

    struct statistics {
        std::uint64_t hits = 0;   ///< reads that found their block in memory or on its way there
        std::uint64_t misses = 0; ///< reads that had to go to the device
        std::uint64_t locks = 0;
        std::uint64_t contended = 0; ///< locks for which a thread had to wait
        std::int64_t clean = 0;      ///< blocks
        std::int64_t dirty = 0;      ///< blocks, those that are flushing included
        std::int64_t filling = 0;    ///< blocks
    };
    [[nodiscard]] statistics stats() const;

    [[nodiscard]] std::int64_t capacity() const noexcept {
        return static_cast<std::int64_t>(m_pool.capacity());
    } ///< blocks
    /// Blocks that are being read.
    [[nodiscard]] std::int64_t filling() const noexcept { return m_filling.load(std::memory_order_relaxed); }
    /// Blocks that are dirty or flushing.
    [[nodiscard]] std::int64_t dirty() const noexcept { return m_dirty.load(std::memory_order_relaxed); }
    /// Blocks that could be handed out at once: free ones and clean ones.
    [[nodiscard]] std::int64_t available() const noexcept;

    /// Whether tables, lists and counters agree; for tests. Takes every lock.
    [[nodiscard]] bool invariant_holds() const;

private:
    enum class state : std::uint8_t { absent, filling, dirty, flushing, clean };
    /// What is known of the block in the place of its number. Guarded by its shard's lock, while it is in a shard.
    struct entry {
        block_key key;
        std::int32_t length; ///< bytes, of a dirty one
        state now;
        bool detached; ///< filling, but no longer found: it was written meanwhile
        bool has_newer;
        bool fresh;               ///< read, and nobody has had it yet
        block_index newer;        ///< the dirty block behind a flushing one
        std::uint32_t next;       ///< in its bucket, plus one; 0 ends
        std::uint32_t lru_prev;   ///< plus one
        std::uint32_t lru_next;   ///< plus one
        std::uint64_t used_at;    ///< value of m_clock when it was put into its list
        std::uint64_t entered_at; ///< value of m_entered when it turned clean
        block_waiter* first;
        block_waiter* last;
    };
    /// Clean blocks in the order of use.
    struct lru_list {
        std::uint32_t oldest = 0; ///< plus one
        std::uint32_t newest = 0;
        /// used_at of the oldest, or never: whoever looks for memory reads it without the lock.
        std::atomic<std::uint64_t> oldest_used_at{never};
    };
    static constexpr std::uint64_t never = ~std::uint64_t{0};
    struct alignas(64) shard {
        mutable std::mutex mutex;
        std::vector<std::uint32_t> buckets;           ///< of entries, plus one
        std::array<lru_list, 2> clean;                ///< those that somebody has had; fresh ones
        std::atomic<std::uint64_t> oldest_entered{0}; ///< entered_at of the oldest fresh one, while there is one
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;
        mutable std::atomic<std::uint64_t> locks{0};
        mutable std::atomic<std::uint64_t> contended{0};
    };
    class locked;

    [[nodiscard]] shard& shard_of(std::uint32_t image, std::int32_t piece) noexcept;
    [[nodiscard]] entry& at(block_index index) const noexcept {
        return m_entries[static_cast<std::size_t>(static_cast<std::uint32_t>(index))];
    }
    [[nodiscard]] static std::uint32_t bucket_of(shard const& in, block_key const& key) noexcept;
    [[nodiscard]] block_index find_locked(shard const& in, block_key const& key) const noexcept;
    void insert_locked(shard& in, block_key const& key, block_index index, state now) noexcept;
    void unlink_locked(shard& in, block_index index) noexcept;
    void lru_push_locked(shard& in, block_index index) noexcept;
    void lru_remove_locked(shard& in, block_index index) noexcept;
    /// Why something is evicted: for its memory, to which a block in use elsewhere is no help, or because there are too
    /// many.
    enum class reason : std::uint8_t { memory, limit };
    bool evict_one_locked(shard& in, bool fresh, reason why) noexcept;
    /// Evicts the block that is used least of all shards, or nearly so. \param held the shard whose lock is held, or
    /// null.
    bool evict_one(shard* held, reason why) noexcept;
    bool evict_from(shard& victim, shard const* held, bool fresh, reason why) noexcept;
    [[nodiscard]] block_ref allocate(shard* held) noexcept;
    void make_clean_locked(shard& in, block_index index) noexcept;
    void add_waiter(entry& to, block_waiter* waiter) noexcept;
    [[nodiscard]] static waiter_list take_waiters(entry& from) noexcept;
    [[nodiscard]] block_ref share(block_index index) noexcept;

    block_pool& m_pool;
    lazy_array<entry> m_entries;
    std::vector<shard> m_shards;
    std::atomic<std::uint64_t> m_clock{0};   ///< blocks that were put into lists
    std::atomic<std::uint64_t> m_entered{0}; ///< blocks that have turned clean
    std::atomic<std::int64_t> m_clean{0};
    std::atomic<std::int64_t> m_dirty{0};
    std::atomic<std::int64_t> m_filling{0};
    std::atomic<std::int64_t> m_clean_limit;
};

} // namespace seedbed
