#include "core/cache/block_pool.hpp"

#include <algorithm>
#include <new>

#include <sys/mman.h>

namespace seedbed {

namespace {

constexpr std::size_t block_bytes = block_size;
constexpr std::align_val_t block_alignment{4096};

} // namespace

block_pool::block_pool(std::int64_t bytes)
    : m_capacity(static_cast<std::size_t>(std::max<std::int64_t>(bytes / block_size, 1))) {
    void* const memory =
        ::mmap(nullptr, m_capacity * block_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        throw std::bad_alloc();
    }
    m_memory = static_cast<char*>(memory);
    m_free.reserve(m_capacity);
    for (auto i = m_capacity; i > 0; --i) {
        m_free.push_back(m_memory + (i - 1) * block_bytes);
    }
}

block_pool::~block_pool() {
    static_cast<void>(::munmap(m_memory, m_capacity * block_bytes));
}

bool block_pool::owns(char const* block) const noexcept {
    return block >= m_memory && block < m_memory + m_capacity * block_bytes;
}

char* block_pool::allocate() {
    {
        std::scoped_lock const lock(m_mutex);
        if (!m_free.empty()) {
            auto* const block = m_free.back();
            m_free.pop_back();
            return block;
        }
        ++m_borrowed;
    }
    try {
        return static_cast<char*>(::operator new(block_bytes, block_alignment));
    } catch (std::bad_alloc const&) {
        std::scoped_lock const lock(m_mutex);
        --m_borrowed;
        throw;
    }
}

void block_pool::free(char* block) noexcept {
    if (owns(block)) {
        std::scoped_lock const lock(m_mutex);
        m_free.push_back(block);
        return;
    }
    ::operator delete(block, block_alignment);
    std::scoped_lock const lock(m_mutex);
    --m_borrowed;
}

std::size_t block_pool::in_use() const {
    std::scoped_lock const lock(m_mutex);
    return m_capacity - m_free.size() + m_borrowed;
}

std::size_t block_pool::borrowed() const {
    std::scoped_lock const lock(m_mutex);
    return m_borrowed;
}

} // namespace seedbed
