#pragma once

#include <cstdint>

#include "core/cache/block_pool.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// A block of an image: the key of the cache.
struct block_key {
    std::uint32_t image = 0; ///< number of the image, assigned by the owner of the cache
    piece_index piece;
    std::int32_t block = 0; ///< within the piece

    friend bool operator==(block_key const&, block_key const&) = default;
};

/// Distributes pieces over stripes and buckets.
[[nodiscard]] constexpr std::uint64_t hash_of_piece(std::uint32_t image, piece_index piece) noexcept {
    auto value = std::uint64_t{image} << 32 | static_cast<std::uint32_t>(piece.value());
    value ^= value >> 32;
    value *= 0x9e37'79b9'7f4a'7c15ULL;
    return value ^ value >> 29;
}

/// Waits for a block to be read (and then receives it) or to be written. Belongs to the caller; the cache links it into
/// a list from the call that takes it until the call that hands it back.
struct block_waiter {
    block_waiter* next = nullptr;
    block_ref block; ///< set when a read is handed back; empty if the read failed
};

/// Waiters in the order of arrival.
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

} // namespace seedbed
