#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <semaphore>
#include <span>

#include "core/backend/device_wait.hpp"
#include "core/backend/image_io.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// Reads some consecutive blocks of a piece as they are after all writes that preceded begin(): from the cache if they
/// are in memory, otherwise from the device. Reused, because it holds a large buffer.
///
/// If the pool has no room, blocks are read into that buffer. Lack of memory is an error of end() (ENOMEM); nothing
/// throws.
///
/// Threads: confined to one, a hash worker, which waits in end(). Must not be destroyed between begin() and end().
class piece_reader final : public waiter_sink {
public:
    static constexpr std::int32_t most_blocks = 256;

    piece_reader();
    piece_reader(piece_reader const&) = delete;
    piece_reader& operator=(piece_reader const&) = delete;
    ~piece_reader();

    /// Starts reading the blocks [begin, end) of a piece, at most most_blocks. \param keep the blocks stay in the
    /// cache. \param ahead with \p keep: if one of these blocks has to be read, those up to this one are read along
    /// with it.
    void begin(image_io& io, piece_index piece, std::int32_t begin, std::int32_t end, bool keep,
               std::int32_t ahead) noexcept;
    /// Waits for the blocks.
    [[nodiscard]] result<void, io_error> end(device_wait& waits) noexcept;
    /// One of the blocks, after end(): always a whole block, even at the end of the piece.
    [[nodiscard]] std::span<std::byte const> block(std::int32_t number) const;
    /// Releases the blocks.
    void release() noexcept;
    /// The same, but first waits for a read that has begun and not ended.
    void stop(device_wait& waits) noexcept;

    void deliver(waiter_list waiters, io_error const* failed) noexcept override;

private:
    class range_read;

    void begin_cached(std::int32_t ahead);
    /// Reads the blocks from \p from on into the buffer, unless all are in memory.
    void begin_private(std::int32_t from);

    image_io* m_io = nullptr;
    piece_index m_piece;
    std::int32_t m_begin = 0;
    std::int32_t m_end = 0;
    std::array<block_ref, most_blocks> m_refs;
    std::array<io_waiter, most_blocks> m_waiters;
    std::int32_t m_awaited = 0;
    std::counting_semaphore<> m_delivered{0};
    std::mutex m_mutex; ///< guards m_failed while waiters are out
    std::optional<io_error> m_failed;
    std::unique_ptr<range_read> m_read; ///< has the buffer for data that bypasses the cache
    std::int32_t m_private_begin = 0;   ///< the first block in the buffer
    bool m_reading = false;
};

} // namespace seedbed
