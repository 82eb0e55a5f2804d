#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/foundation/strong.hpp"

namespace seedbed {

/// Which pieces of an image its target has at hand for peers, and which ones peers have requested of it. The target
/// tells the first, and keeps requested pieces in memory; the connections tell the second, and are careful with a piece
/// that is not at hand: reads of it may fail.
///
/// Threads: every member may be called from any thread, and none waits.
class piece_supply {
public:
    explicit piece_supply(std::int32_t pieces)
        : m_at_hand(static_cast<std::size_t>(pieces))
        , m_requests(static_cast<std::size_t>(pieces)) {}

    /// Whether a read of the piece is expected to succeed.
    [[nodiscard]] bool at_hand(piece_index piece) const noexcept { return m_at_hand[index(piece)].load(); }
    void set_at_hand(piece_index piece, bool at_hand) noexcept { m_at_hand[index(piece)].store(at_hand); }

    /// Whether peers have requested blocks of the piece that they have not been sent yet.
    [[nodiscard]] bool requested(piece_index piece) const noexcept { return m_requests[index(piece)].load() > 0; }
    void begin_request(piece_index piece) noexcept { m_requests[index(piece)].fetch_add(1); }
    /// \param count at most as many as have begun and not ended.
    void end_requests(piece_index piece, std::uint32_t count) noexcept { m_requests[index(piece)].fetch_sub(count); }

private:
    [[nodiscard]] static std::size_t index(piece_index piece) noexcept {
        return static_cast<std::size_t>(piece.value());
    }

    std::vector<std::atomic<bool>> m_at_hand;
    std::vector<std::atomic<std::uint32_t>> m_requests; ///< of each piece
};

} // namespace seedbed
