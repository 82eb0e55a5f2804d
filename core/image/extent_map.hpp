#pragma once

#include <cstdint>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// A contiguous range of the device's bytes that belongs to the image.
struct extent {
    /// The device_offset of bytes that are in the torrent but not on the device: the padding of v2 and hybrid torrents.
    static constexpr std::int64_t padding = -1;

    std::int64_t device_offset = 0; ///< bytes from the start of the device, or padding
    std::int64_t length = 0;        ///< bytes, more than 0

    friend bool operator==(extent const&, extent const&) = default;
};

/// Maps the bytes of a torrent to the device: the torrent's byte stream is the extents joined in order.
///
/// Immutable after make(), so every member may be called from any thread. Memory: 16 bytes per extent, and 8 for its
/// position in the stream.
class extent_map {
public:
    /// Checks that there is at least one extent, that lengths are positive, that ends fit in 63 bits, and that the
    /// extents ascend and do not overlap on the device (except padding). The error names the first extent that violates
    /// a rule.
    [[nodiscard]] static result<extent_map> make(std::vector<extent> extents);

    /// Bytes in the stream, padding included: the torrent's total size.
    [[nodiscard]] std::int64_t total_size() const noexcept { return m_total_size; }
    /// End of the last extent on the device: the minimum size of the device, in bytes.
    [[nodiscard]] std::int64_t device_end() const noexcept { return m_device_end; }
    [[nodiscard]] std::vector<extent> const& extents() const noexcept { return m_extents; }

    /// Calls \p visit(extent const& slice), in order, for each range of the device that makes up the bytes [\p begin,
    /// \p begin + \p length) of the stream, which must lie within the stream. O(log extents) to find the first; does
    /// not allocate.
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
    std::vector<torrent_offset> m_begins; ///< start of each extent in the stream
    std::int64_t m_total_size = 0;
    std::int64_t m_device_end = 0;
};

} // namespace seedbed
