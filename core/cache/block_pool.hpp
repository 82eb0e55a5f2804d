#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "core/foundation/block_size.hpp"
#include "core/foundation/lazy_array.hpp"

namespace seedbed {

/// A block's number within its pool.
enum class block_index : std::uint32_t {};
inline constexpr block_index no_block{0xffff'ffffU};
[[nodiscard]] constexpr std::uint32_t number_of(block_index index) noexcept {
    return static_cast<std::uint32_t>(index);
}

class block_pool;

/// Shared ownership of one block, which returns to its pool with its last owner. Empty by default.
///
/// Threads: as a shared_ptr: different objects may be used on different threads, even if they share a block.
class block_ref {
public:
    block_ref() noexcept = default;
    /// Takes over a reference that the caller owns.
    block_ref(block_pool& pool, block_index index) noexcept
        : m_pool(&pool)
        , m_index(index) {}
    block_ref(block_ref const& other) noexcept;
    block_ref(block_ref&& other) noexcept
        : m_pool(other.m_pool)
        , m_index(std::exchange(other.m_index, no_block)) {}
    block_ref& operator=(block_ref other) noexcept {
        std::swap(m_pool, other.m_pool);
        std::swap(m_index, other.m_index);
        return *this;
    }
    ~block_ref();

    [[nodiscard]] explicit operator bool() const noexcept { return m_index != no_block; }
    [[nodiscard]] block_index index() const noexcept { return m_index; }
    [[nodiscard]] char* data() const noexcept;
    [[nodiscard]] std::span<std::byte> bytes() const noexcept {
        return {reinterpret_cast<std::byte*>(data()), static_cast<std::size_t>(block_size)};
    }
    /// Gives the reference up: the caller must release it in the pool.
    [[nodiscard]] block_index release() noexcept { return std::exchange(m_index, no_block); }

private:
    block_pool* m_pool = nullptr;
    block_index m_index = no_block;
};

/// The memory of all blocks, whether read, written or cached: one reservation of address space, made once and divided
/// into blocks of 16 KiB, aligned to 4 KiB. An allocation pops from a lock-free list and needs no system call.
///
/// The size is a limit that can change while blocks are in use. Blocks that cannot wait, above all those that a peer
/// has already sent, may exceed it: see allocate_beyond(). Blocks released while the limit is exceeded return their
/// memory to the system.
///
/// Threads: any.
class block_pool {
public:
    /// \param bytes the size; rounded down to whole blocks, at least one. \param huge_pages ask the kernel for huge
    /// pages, or for none. Throws std::bad_alloc if the address space cannot be reserved.
    explicit block_pool(std::int64_t bytes, bool huge_pages = true);
    block_pool(block_pool const&) = delete;
    block_pool& operator=(block_pool const&) = delete;
    ~block_pool();

    /// A block with undefined content and one reference; an empty ref if the limit is reached.
    [[nodiscard]] block_ref allocate() noexcept;
    /// The same, but exceeds the limit by up to \p most blocks if necessary. Empty also if the reservation is
    /// exhausted.
    [[nodiscard]] block_ref allocate_beyond(std::size_t most = any) noexcept;
    static constexpr std::size_t any = std::size_t{1} << 48;

    void add_reference(block_index index) noexcept;
    void release(block_index index) noexcept;

    /// The block that contains \p address, which must be in this pool.
    [[nodiscard]] block_index index_of(char const* address) const noexcept;
    [[nodiscard]] char* data(block_index index) const noexcept;
    [[nodiscard]] std::uint32_t references(block_index index) const noexcept;

    /// Changes the size, in bytes, up to the reservation (the machine's memory). Blocks in use stay.
    void set_capacity(std::int64_t bytes);
    [[nodiscard]] std::size_t capacity() const noexcept { return m_limit.load(std::memory_order_relaxed); } ///< blocks
    [[nodiscard]] std::size_t in_use() const noexcept { return m_in_use.load(std::memory_order_relaxed); }  ///< blocks
    /// The number of blocks that fit the reservation: every block_index is below it.
    [[nodiscard]] std::size_t reserved() const noexcept { return m_reserved; }
    /// Has the kernel back some more blocks with memory, in ascending order, so that their first use costs no page
    /// fault. Blocks may be in use meanwhile. One thread at a time. \param wanted how many blocks are to be backed, if
    /// the size allows. \return false if they are, or if the kernel cannot do this: blocks are then backed on first
    /// use.
    [[nodiscard]] bool populate(std::size_t wanted) noexcept;
    /// How many blocks should be backed by now: those that were ever handed out, and as many again, within 4 to 64 MiB.
    [[nodiscard]] std::size_t to_populate() const noexcept;
    /// Before the first allocation. \param grown is called when to_populate() has grown by 2 MiB, on the thread that
    /// allocates; it may be called on several at the same time.
    void on_growth(std::function<void()> grown) { m_on_growth = std::move(grown); }
    /// The memory of the first blocks, as many as the size is now, for the kernel to pin. It is never returned to the
    /// system afterwards: the address of a returned page gets a fresh page, while the kernel would keep using the old
    /// one.
    [[nodiscard]] std::span<std::byte> pin() noexcept;

private:
    [[nodiscard]] block_index pop() noexcept;
    [[nodiscard]] block_index pop_fresh() noexcept;
    void push(block_index index) noexcept;
    /// Returns the memory of an unreferenced block to the system, unless it is pinned.
    void give_back(block_index index) noexcept;
    [[nodiscard]] block_ref take() noexcept;

    std::size_t m_reserved;
    char* m_memory = nullptr;
    lazy_array<std::atomic<std::uint32_t>> m_references;
    lazy_array<std::atomic<std::uint32_t>> m_next; ///< of a free block: the next block in the list
    /// Head of the list of free blocks: a change counter above the first block's number, so that a pop notices if the
    /// first block was taken and given back meanwhile.
    std::atomic<std::uint64_t> m_head;
    std::atomic<std::uint32_t> m_untouched{0}; ///< blocks from here on were never handed out
    std::function<void()> m_on_growth;
    std::atomic<std::size_t> m_populated{0}; ///< blocks below this number are backed, or were once in use
    bool m_cannot_populate = false;          ///< of the thread that calls populate()
    std::atomic<std::size_t> m_limit;
    std::atomic<std::size_t> m_in_use{0};
    std::atomic<std::size_t> m_pinned{0}; ///< blocks below this number are pinned
    std::atomic<int> m_giving_back{0};    ///< threads in give_back()
};

} // namespace seedbed
