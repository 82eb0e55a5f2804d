#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/foundation/strong.hpp"

namespace seedbed {

/// The pieces of an image that its target can no longer give to peers, which libtorrent still counts as present.
///
/// Threads: every member may be called from any thread, and none waits; but only one thread at a time changes it.
class withdrawn_pieces {
public:
    explicit withdrawn_pieces(std::int32_t pieces)
        : m_changes(static_cast<std::size_t>(pieces)) {}

    [[nodiscard]] std::int32_t pieces() const noexcept { return static_cast<std::int32_t>(m_changes.size()); }
    [[nodiscard]] bool contains(piece_index piece) const noexcept { return is_withdrawn(changes_of(piece)); }
    [[nodiscard]] bool any() const noexcept { return m_count.load(std::memory_order_relaxed) > 0; }

    /// These do nothing if the piece is withdrawn already, or is not.
    void add(piece_index piece) noexcept { change(piece, true); }
    void remove(piece_index piece) noexcept { change(piece, false); }

    // For those who tell others what has changed: a piece that was removed and added again since the last look has
    // changed, too.

    /// The number of changes of all pieces.
    [[nodiscard]] std::uint64_t changes() const noexcept { return m_all_changes.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint32_t changes_of(piece_index piece) const noexcept {
        return m_changes[static_cast<std::size_t>(piece.value())].load(std::memory_order_acquire);
    }
    /// Whether a piece that has changed so often is withdrawn.
    [[nodiscard]] static bool is_withdrawn(std::uint32_t changes) noexcept { return changes % 2 != 0; }

private:
    void change(piece_index piece, bool withdrawn) noexcept {
        if (contains(piece) != withdrawn) {
            m_changes[static_cast<std::size_t>(piece.value())].fetch_add(1, std::memory_order_release);
            m_count.fetch_add(withdrawn ? 1 : -1, std::memory_order_relaxed);
            m_all_changes.fetch_add(1, std::memory_order_release);
        }
    }

    std::vector<std::atomic<std::uint32_t>> m_changes; ///< of each piece
    std::atomic<std::int32_t> m_count{0};              ///< pieces that are withdrawn now
    std::atomic<std::uint64_t> m_all_changes{0};
};

} // namespace seedbed
