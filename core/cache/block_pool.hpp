#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

namespace seedbed {

/// BitTorrent's block: what peers ask for and what the pool hands out, in bytes.
inline constexpr int block_size = 16 * 1024;

/// The memory of all blocks: one reservation, made once, cut into blocks of 16 KiB that are aligned to 4 KiB.
///
/// An exhausted pool does not fail: it lends single blocks from the heap until others come back, because the callers
/// (a block that a peer has already sent, a read that a peer waits for) have no way to wait. Back-pressure keeps that
/// small. Threads: any.
class block_pool {
public:
    /// \param bytes size of the reservation; rounded down to whole blocks, at least one.
    /// Throws std::bad_alloc where the address space can not be reserved.
    explicit block_pool(std::int64_t bytes);
    block_pool(block_pool const&) = delete;
    block_pool& operator=(block_pool const&) = delete;
    ~block_pool();

    /// A block of block_size bytes with undefined content. Throws std::bad_alloc where even the heap has none.
    [[nodiscard]] char* allocate();
    /// Gives back what allocate() returned.
    void free(char* block) noexcept;

    [[nodiscard]] std::size_t capacity() const noexcept { return m_capacity; } ///< blocks
    [[nodiscard]] std::size_t in_use() const;                                  ///< blocks, those from the heap included
    [[nodiscard]] std::size_t borrowed() const;                                ///< blocks in use from the heap

private:
    [[nodiscard]] bool owns(char const* block) const noexcept;

    std::size_t m_capacity;
    char* m_memory = nullptr;
    mutable std::mutex m_mutex;
    std::vector<char*> m_free; ///< the last one given back is the first one taken: it is still in the CPU's cache
    std::size_t m_borrowed = 0;
};

/// One block with shared ownership; it goes back to its pool with its last owner.
class pool_block {
public:
    explicit pool_block(block_pool& pool)
        : m_pool(pool)
        , m_data(pool.allocate()) {}
    pool_block(pool_block const&) = delete;
    pool_block& operator=(pool_block const&) = delete;
    ~pool_block() {
        if (m_data != nullptr) {
            m_pool.free(m_data);
        }
    }

    [[nodiscard]] char* data() const noexcept { return m_data; }
    [[nodiscard]] std::span<std::byte> bytes() const noexcept {
        return {reinterpret_cast<std::byte*>(m_data), static_cast<std::size_t>(block_size)};
    }
    /// Gives the block up; the caller frees it in the pool.
    [[nodiscard]] char* release() noexcept {
        auto* const data = m_data;
        m_data = nullptr;
        return data;
    }

private:
    block_pool& m_pool;
    char* m_data;
};

} // namespace seedbed
