#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "core/cache/block_pool.hpp"

namespace seedbed {

/// A block on its way to the device.
struct dirty_block {
    std::int64_t stream_offset = 0; ///< of its first byte in the torrent's stream, a multiple of nothing in particular
    int length = 0;                 ///< bytes, at most block_size
    std::shared_ptr<pool_block> memory;
    void* writer = nullptr; ///< the caller's own: what it needs to write this block when its turn comes

    [[nodiscard]] std::span<std::byte const> bytes() const noexcept {
        return memory->bytes().first(static_cast<std::size_t>(length));
    }
};

/// The blocks of one image that were posted and are not on the device yet. Reads and hashes look here first, so that
/// they see every write posted before them.
///
/// Writes of the same block reach the device in the order of posting: only the first one is handed to the device, the
/// next one when that has ended. libtorrent writes whole blocks at block offsets within a piece, so two writes either
/// name the same block or do not overlap.
///
/// Threads: any; nothing is called with its lock held.
class dirty_blocks {
public:
    /// Adds a block. \return true where the caller must hand it to the device now; false where an earlier write of the
    /// same block is on its way: finish() of that one will return this one.
    [[nodiscard]] bool add(dirty_block block);

    /// Takes the block at \p stream_offset that was on its way out; the write has ended, well or not.
    /// \return the next write of the same block, to be handed to the device now; memory is null where there is none.
    [[nodiscard]] dirty_block finish(std::int64_t stream_offset);

    /// The newest content of every block that overlaps [stream_offset, stream_offset + length), in order of offset.
    /// What they hold does not change any more.
    [[nodiscard]] std::vector<dirty_block> overlapping(std::int64_t stream_offset, std::int64_t length) const;

    [[nodiscard]] bool empty() const;

    /// Calls \p call once when no block is dirty: at once on this thread, or later on the one that calls the finish()
    /// of the last block. Nothing is dirty when it is called, unless new blocks come meanwhile.
    void when_empty(std::function<void()> call);

private:
    struct queue {
        std::vector<dirty_block> blocks; ///< the first is on its way to the device, the last is the newest
    };

    mutable std::mutex m_mutex;
    std::map<std::int64_t, queue> m_blocks; ///< by stream offset
    std::vector<std::function<void()>> m_when_empty;
};

/// Copies what \p block and \p target, the bytes of the stream from \p target_offset on, have in common into \p target.
void copy_overlap(dirty_block const& block, std::int64_t target_offset, std::span<std::byte> target) noexcept;

} // namespace seedbed
