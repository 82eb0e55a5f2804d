#pragma once

#include <cstdint>

#include "core/cache/piece_cache.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

struct io_waiter;

/// Receives completed waiters.
class waiter_sink {
public:
    /// Takes the waiters back: their blocks are in memory or on the device, or \p failed has the reason why not. Called
    /// on any thread, without a lock. Must not throw.
    virtual void deliver(waiter_list waiters, io_error const* failed) = 0;
    /// Retries what the waiter waits for: there may be memory for a waiter of memory_queue::wait(), or a worker for one
    /// of device_wait::park(). Called on any thread. \return false if it must wait longer; the queue then still owns
    /// the waiter. Must not throw.
    [[nodiscard]] virtual bool try_again(io_waiter& /*waiter*/) { return true; }

protected:
    ~waiter_sink() = default;
};

/// Waits for one block of an image.
struct io_waiter : block_waiter {
    waiter_sink* sink = nullptr;
    piece_index wanted_piece;
    std::int32_t wanted_block = 0;
    std::uint64_t epoch = 0;                 ///< of a write: see image_io::when_written()
    memory_share share = memory_share::read; ///< how much of the pool a read may take
};

/// The outcome of requesting a block.
enum class read_answer : std::uint8_t {
    there,    ///< the block is in memory
    later,    ///< the waiter is delivered to its sink when the block is in memory
    no_memory ///< nothing was done
};

} // namespace seedbed
