#pragma once

#include <cstdint>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// A run of bytes of the device that belongs to the image.
struct extent {
    /// Value of device_offset for bytes that the torrent has and the device has not: padding of v2 and hybrid torrents.
    static constexpr std::int64_t padding = -1;

    std::int64_t device_offset = 0; ///< bytes from the start of the device, or padding
    std::int64_t length = 0;        ///< bytes, more than 0

    friend bool operator==(extent const&, extent const&) = default;
};

/// Where the bytes of a torrent live on the device: the torrent's stream of bytes is the extents joined in order.
///
/// Immutable after make(), so every member may be called from any thread. Memory: 16 bytes an extent, and 8 for its
/// place in the stream.
class extent_map {
public:
    /// Checks that there is an extent, that lengths are positive, that ends fit 63 bits and that the extents ascend and
    /// do not overlap on the device (padding apart). The error names the first extent that breaks a rule.
    [[nodiscard]] static result<extent_map> make(std::vector<extent> extents);

    /// Bytes of the stream, padding included: the torrent's total size.
    [[nodiscard]] std::int64_t total_size() const noexcept { return m_total_size; }
    /// End of the last extent on the device: the least size that the device must have, in bytes.
    [[nodiscard]] std::int64_t device_end() const noexcept { return m_device_end; }
    [[nodiscard]] std::vector<extent> const& extents() const noexcept { return m_extents; }

    /// Calls \p visit(extent const& slice) for each run of the device that the bytes [\p begin, \p begin + \p length)
    /// of the stream consist of, in order. The range must lie within the stream. O(log extents) to find the first; no
    /// allocation.
    template <class Visitor>
    void for_each_slice(torrent_offset begin, std::int64_t length, Visitor&& visit) const {
        auto index = find(begin);
        while (length > 0) {
            extent const& whole = m_extents[index];
            auto const skip = (begin - m_begins[index]).value();
            auto const part = whole.length - skip < length ? whole.length - skip : length;
            visit(extent{whole.device_offset == extent::padding ? extent::padding : whole.device_offset + skip, part});
            begin += byte_count{part};
            length -= part;
            ++index;
        }
    }

private:
    extent_map() = default;
    [[nodiscard]] std::size_t find(torrent_offset at) const noexcept;

    std::vector<extent> m_extents;
    std::vector<torrent_offset> m_begins; ///< of the extents, in the stream
    std::int64_t m_total_size = 0;
    std::int64_t m_device_end = 0;
};

} // namespace seedbed
