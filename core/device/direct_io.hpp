#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/uio.h>

namespace seedbed {

/// The alignment that direct I/O requires of a transfer (open(2), O_DIRECT). Devices without direct I/O have page 0.
struct direct_rules {
    /// Alignment of start and end on the device, in bytes; a multiple of the page size, so that direct and cached
    /// transfers never share a page: writing back such a page would undo the direct transfer next to it. 0: no direct
    /// I/O.
    std::int64_t page = 0;
    std::size_t memory = 512; ///< alignment of each memory range
    std::size_t length = 512; ///< the length of each memory range is a multiple of this
};

/// A part of a transfer that is either all direct or all cached.
struct transfer_part {
    std::int64_t offset = 0; ///< bytes from the start of the device
    std::int64_t skip = 0;   ///< bytes of the transfer before this part
    std::int64_t length = 0; ///< bytes
    bool direct = false;
};

/// The parts of a transfer: at most an edge, whole pages, and an edge.
struct transfer_parts {
    std::array<transfer_part, 3> parts;
    std::size_t count = 0;

    [[nodiscard]] transfer_part const* begin() const noexcept { return parts.data(); }
    [[nodiscard]] transfer_part const* end() const noexcept { return parts.data() + count; }
    void add(transfer_part const& part) noexcept {
        if (part.length > 0) {
            parts[count++] = part;
        }
    }
};

/// The bytes of several memory ranges.
[[nodiscard]] inline std::int64_t length_of(std::span<iovec const> memory) noexcept {
    std::int64_t length = 0;
    for (auto const& range : memory) {
        length += static_cast<std::int64_t>(range.iov_len);
    }
    return length;
}

/// Iterates over several memory ranges as if they were one.
class memory_cursor {
public:
    explicit memory_cursor(std::span<iovec const> memory) noexcept
        : m_memory(memory) {}

    void skip(std::int64_t bytes) noexcept {
        auto left = static_cast<std::size_t>(bytes);
        while (left > 0) {
            auto const step = std::min(left, m_memory[m_index].iov_len - m_within);
            left -= step;
            m_within += step;
            if (m_within == m_memory[m_index].iov_len) {
                ++m_index;
                m_within = 0;
            }
        }
    }

    /// The memory ranges of the next bytes, as many as \p to holds. \return their number.
    [[nodiscard]] std::size_t peek(std::int64_t bytes, std::span<iovec> to) const noexcept {
        auto left = static_cast<std::size_t>(bytes);
        auto within = m_within;
        std::size_t count = 0;
        for (auto index = m_index; left > 0 && count < to.size(); ++index) {
            auto const length = std::min(left, m_memory[index].iov_len - within);
            to[count++] = {static_cast<std::byte*>(m_memory[index].iov_base) + within, length};
            left -= length;
            within = 0;
        }
        return count;
    }

private:
    std::span<iovec const> m_memory;
    std::size_t m_index = 0;
    std::size_t m_within = 0;
};

/// Divides a transfer of \p length bytes at \p offset: whole pages use direct I/O if the memory is aligned for it, the
/// rest uses the page cache.
[[nodiscard]] inline transfer_parts plan_transfer(direct_rules const& rules, std::int64_t offset, std::int64_t length,
                                                  std::span<iovec const> memory) noexcept {
    transfer_parts planned;
    auto const end = offset + length;
    auto const first_page = rules.page == 0 ? end : (offset + rules.page - 1) / rules.page * rules.page;
    auto const last_page = rules.page == 0 ? end : end / rules.page * rules.page;
    if (first_page >= last_page) {
        planned.add({offset, 0, length, false});
        return planned;
    }
    bool suits = true;
    std::int64_t at = offset;
    for (auto const& piece : memory) {
        auto const piece_end = at + static_cast<std::int64_t>(piece.iov_len);
        auto const from = std::max(at, first_page);
        auto const to = std::min(piece_end, last_page);
        if (from < to) {
            auto const address =
                reinterpret_cast<std::uintptr_t>(piece.iov_base) + static_cast<std::uintptr_t>(from - at);
            suits = suits && address % rules.memory == 0 && static_cast<std::size_t>(to - from) % rules.length == 0;
        }
        at = piece_end;
    }
    if (!suits) {
        planned.add({offset, 0, length, false});
        return planned;
    }
    planned.add({offset, 0, first_page - offset, false});
    planned.add({first_page, first_page - offset, last_page - first_page, true});
    planned.add({last_page, last_page - offset, end - last_page, false});
    return planned;
}

} // namespace seedbed
