#include "core/cache/block_pool.hpp"

#include <algorithm>
#include <cassert>
#include <new>
#include <thread>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

namespace seedbed {

namespace {

constexpr auto block_bytes = static_cast<std::size_t>(block_size);
constexpr std::uint32_t nothing = 0xffff'ffffU;
constexpr std::size_t mebibyte_blocks = (1 << 20) / block_bytes;
constexpr std::size_t growth_step = 2 * mebibyte_blocks;

/// Blocks of address space to reserve: as many as the machine has memory for, as a larger pool makes no sense.
std::size_t reservation(std::size_t wanted) {
    auto const pages = ::sysconf(_SC_PHYS_PAGES);
    auto const page = ::sysconf(_SC_PAGESIZE);
    auto const machine =
        pages > 0 && page > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(page) / block_bytes : 0;
    // The overdraft: one eighth, plus 4,096 blocks for small pools.
    return std::min<std::size_t>(std::max(machine, wanted + wanted / 8 + 4096), nothing - 1);
}

std::size_t blocks_of(std::int64_t bytes) {
    return static_cast<std::size_t>(std::max<std::int64_t>(bytes / block_size, 1));
}

} // namespace

block_ref::block_ref(block_ref const& other) noexcept
    : m_pool(other.m_pool)
    , m_index(other.m_index) {
    if (m_index != no_block) {
        m_pool->add_reference(m_index);
    }
}

block_ref::~block_ref() {
    if (m_index != no_block) {
        m_pool->release(m_index);
    }
}

char* block_ref::data() const noexcept {
    return m_pool->data(m_index);
}

block_pool::block_pool(std::int64_t bytes, bool huge_pages)
    : m_reserved(reservation(blocks_of(bytes)))
    , m_references(m_reserved)
    , m_next(m_reserved)
    , m_head(nothing)
    , m_limit(std::min(blocks_of(bytes), m_reserved)) {
    void* const memory = ::mmap(nullptr, m_reserved * block_bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    m_memory = static_cast<char*>(memory);
    // Only a hint: any pages work.
    static_cast<void>(::madvise(memory, m_reserved * block_bytes, huge_pages ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
}

block_pool::~block_pool() {
    static_cast<void>(::munmap(m_memory, m_reserved * block_bytes));
}

block_index block_pool::pop() noexcept {
    auto head = m_head.load(std::memory_order_acquire);
    for (;;) {
        auto const first = static_cast<std::uint32_t>(head);
        if (first == nothing) {
            return no_block;
        }
        auto const next = m_next[first].load(std::memory_order_relaxed);
        auto const changed = ((head >> 32) + 1) << 32 | next;
        if (m_head.compare_exchange_weak(head, changed, std::memory_order_acq_rel, std::memory_order_acquire)) {
            return block_index{first};
        }
    }
}

block_index block_pool::pop_fresh() noexcept {
    auto untouched = m_untouched.load(std::memory_order_relaxed);
    while (untouched < m_reserved) {
        if (m_untouched.compare_exchange_weak(untouched, untouched + 1, std::memory_order_relaxed)) {
            if ((untouched + 1) % growth_step == 0 && m_on_growth) {
                m_on_growth();
            }
            return block_index{untouched};
        }
    }
    return no_block;
}

void block_pool::push(block_index index) noexcept {
    auto head = m_head.load(std::memory_order_relaxed);
    for (;;) {
        m_next[number_of(index)].store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
        auto const changed = ((head >> 32) + 1) << 32 | number_of(index);
        if (m_head.compare_exchange_weak(head, changed, std::memory_order_release, std::memory_order_relaxed)) {
            return;
        }
    }
}

block_ref block_pool::take() noexcept {
    auto index = pop();
    if (index == no_block) {
        // Untouched blocks last: a block that was in use is still in memory, perhaps in the CPU's cache.
        index = pop_fresh();
    }
    if (index == no_block) {
        m_in_use.fetch_sub(1, std::memory_order_relaxed);
        return {};
    }
    m_references[number_of(index)].store(1, std::memory_order_relaxed);
    return {*this, index};
}

block_ref block_pool::allocate() noexcept {
    return allocate_beyond(0);
}

block_ref block_pool::allocate_beyond(std::size_t most) noexcept {
    // Counted first, so that two threads do not both take the last block.
    if (m_in_use.fetch_add(1, std::memory_order_relaxed) >= capacity() + most) {
        m_in_use.fetch_sub(1, std::memory_order_relaxed);
        return {};
    }
    return take();
}

void block_pool::add_reference(block_index index) noexcept {
    m_references[number_of(index)].fetch_add(1, std::memory_order_relaxed);
}

void block_pool::release(block_index index) noexcept {
    assert(references(index) > 0);
    if (m_references[number_of(index)].fetch_sub(1, std::memory_order_acq_rel) != 1) {
        return;
    }
    if (in_use() > capacity()) {
        give_back(index); // its content is no longer needed
    }
    push(index);
    m_in_use.fetch_sub(1, std::memory_order_relaxed);
}

void block_pool::give_back(block_index index) noexcept {
    m_giving_back.fetch_add(1); // before reading m_pinned; pin() does the reverse
    if (number_of(index) >= m_pinned.load()) {
        // The next owner finds zeros. If the call fails, the block keeps its memory.
        static_cast<void>(::madvise(data(index), block_bytes, MADV_DONTNEED));
    }
    m_giving_back.fetch_sub(1);
}

bool block_pool::populate(std::size_t wanted) noexcept {
    constexpr auto step = 4 * mebibyte_blocks;
    auto const from = m_populated.load(std::memory_order_relaxed);
    auto const end = std::min({from + step, wanted, capacity()});
    if (m_cannot_populate || from >= end) {
        return false;
    }
    if (::madvise(m_memory + from * block_bytes, (end - from) * block_bytes, MADV_POPULATE_WRITE) != 0) {
        m_cannot_populate = true; // a kernel older than 5.14, or out of memory
        return false;
    }
    m_populated.store(end, std::memory_order_relaxed);
    return true;
}

std::size_t block_pool::to_populate() const noexcept {
    std::size_t const touched = m_untouched.load(std::memory_order_relaxed);
    return touched + std::clamp(touched, 4 * mebibyte_blocks, 64 * mebibyte_blocks);
}

std::span<std::byte> block_pool::pin() noexcept {
    auto const wanted = std::max(m_pinned.load(), capacity());
    m_pinned.store(wanted);
    while (m_giving_back.load() > 0) {
        std::this_thread::yield(); // at most for one system call, when an image is opened
    }
    return {reinterpret_cast<std::byte*>(m_memory), wanted * block_bytes};
}

block_index block_pool::index_of(char const* address) const noexcept {
    return block_index{static_cast<std::uint32_t>(static_cast<std::size_t>(address - m_memory) / block_bytes)};
}

char* block_pool::data(block_index index) const noexcept {
    return m_memory + std::size_t{number_of(index)} * block_bytes;
}

std::uint32_t block_pool::references(block_index index) const noexcept {
    return m_references[number_of(index)].load(std::memory_order_relaxed);
}

void block_pool::set_capacity(std::int64_t bytes) {
    auto const wanted = std::min(blocks_of(bytes), m_reserved);
    if (m_limit.exchange(wanted, std::memory_order_relaxed) <= wanted) {
        return;
    }
    // Return the memory of free blocks to the system; the blocks stay free.
    std::vector<block_index> free;
    for (auto index = pop(); index != no_block; index = pop()) {
        give_back(index);
        free.push_back(index);
    }
    // Blocks that are backed but were never handed out return their memory, too. They are taken first, so that no
    // thread allocates one meanwhile.
    while (m_untouched.load(std::memory_order_relaxed) < m_populated.load(std::memory_order_relaxed)) {
        auto const index = pop_fresh();
        if (index == no_block) {
            break;
        }
        give_back(index);
        free.push_back(index);
    }
    for (auto const index : free) {
        push(index);
    }
}

} // namespace seedbed
