#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cache/piece_cache.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// The blocks of one write while the device works on it. Has room for the longest run, so that taking them allocates
/// nothing.
struct write_batch {
    struct group {
        piece_index piece;
        std::size_t first; ///< index of the first in items
        std::size_t count;
        std::size_t again; ///< end of its blocks in dirty_again
    };
    std::vector<piece_cache::flush_item> items;
    std::vector<group> groups;
    std::vector<std::int32_t> dirty_again; ///< blocks; see group::again

    explicit write_batch(std::int32_t blocks) { make_room(blocks); }
    /// Throws std::bad_alloc.
    void make_room(std::int32_t blocks);
    void clear() noexcept;
    [[nodiscard]] std::int32_t size() const noexcept { return static_cast<std::int32_t>(items.size()); }
};

/// The unused batches of an image.
///
/// Threads: every member may be called from any thread.
class write_batches {
public:
    /// Ensures that there are at least \p count batches, each with room for \p blocks. Throws std::bad_alloc.
    void reserve(std::size_t count, std::int32_t blocks);
    /// Takes a batch with room for \p blocks: a reserved one, unless more writes run than were reserved for. In that
    /// case it retries until there is memory.
    [[nodiscard]] std::unique_ptr<write_batch> take(std::int32_t blocks) noexcept;
    void give_back(std::unique_ptr<write_batch> batch) noexcept;

private:
    std::mutex m_mutex;                               ///< guards the members below
    std::vector<std::unique_ptr<write_batch>> m_free; ///< has room for all that were created
    std::size_t m_made = 0;
};

} // namespace seedbed
