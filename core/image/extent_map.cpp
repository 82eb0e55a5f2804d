#include "core/image/extent_map.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace seedbed {

namespace {

constexpr auto max_offset = std::numeric_limits<std::int64_t>::max();

tl::unexpected<error> refuse(std::size_t index, extent const& e, std::string const& reason) {
    return tl::unexpected(error{"extent " + std::to_string(index + 1) + " (offset " + std::to_string(e.device_offset) +
                                ", length " + std::to_string(e.length) + ") " + reason});
}

} // namespace

result<extent_map> extent_map::make(std::vector<extent> extents) {
    extent_map map;
    map.m_begins.reserve(extents.size());
    bool on_device = false;
    std::int64_t last_offset = 0;
    for (std::size_t i = 0; i < extents.size(); ++i) {
        extent const& e = extents[i];
        if (e.length <= 0) {
            return refuse(i, e, "has no length");
        }
        if (e.length > max_offset - map.m_total_size) {
            return refuse(i, e, "makes the image larger than 63 bits can express");
        }
        map.m_begins.emplace_back(map.m_total_size);
        map.m_total_size += e.length;
        if (e.device_offset == extent::padding) {
            continue;
        }
        if (e.device_offset < 0) {
            return refuse(i, e, "has a negative offset");
        }
        if (e.length > max_offset - e.device_offset) {
            return refuse(i, e, "ends beyond 63 bits");
        }
        if (on_device && e.device_offset < last_offset) {
            return refuse(i, e, "is out of order: the one before it starts at " + std::to_string(last_offset));
        }
        if (e.device_offset < map.m_device_end) {
            return refuse(i, e, "overlaps the one before it, which ends at " + std::to_string(map.m_device_end));
        }
        on_device = true;
        last_offset = e.device_offset;
        map.m_device_end = e.device_offset + e.length;
    }
    if (!on_device) {
        return tl::unexpected(error{"no extent on the device"});
    }
    map.m_extents = std::move(extents);
    map.m_extents.shrink_to_fit();
    return map;
}

std::size_t extent_map::find(torrent_offset at) const noexcept {
    // The first extent starts at 0, so upper_bound() never returns begin().
    auto const after = std::upper_bound(m_begins.begin(), m_begins.end(), at);
    return static_cast<std::size_t>(after - m_begins.begin()) - 1;
}

} // namespace seedbed
