#include "core/image/old_signatures.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace seedbed {

namespace {

struct device_gap {
    std::int64_t offset = 0; ///< bytes
    std::int64_t length = 0;
};

/// The parts of a range of the device that are not in the image, in order.
std::vector<device_gap> gaps_of(extent_map const& image, std::int64_t offset, std::int64_t length) {
    std::vector<device_gap> gaps;
    auto const end = offset + length;
    for (auto const& part : image.extents()) {
        auto const part_end = part.device_offset + part.length;
        if (part.device_offset == extent::padding || part_end <= offset) {
            continue;
        }
        if (part.device_offset >= end) {
            break;
        }
        if (part.device_offset > offset) {
            gaps.push_back({offset, part.device_offset - offset});
        }
        offset = part_end;
    }
    if (offset < end) {
        gaps.push_back({offset, end - offset});
    }
    return gaps;
}

} // namespace

bool overlaps(extent_map const& image, std::int64_t offset, std::int64_t length) {
    return std::ranges::any_of(image.extents(), [&](extent const& part) {
        return part.device_offset != extent::padding && part.device_offset < offset + length &&
               offset < part.device_offset + part.length;
    });
}

std::vector<disk_signature> outside_image(std::span<disk_signature const> signatures, extent_map const& image) {
    std::vector<disk_signature> outside;
    std::ranges::copy_if(signatures, std::back_inserter(outside), [&](disk_signature const& signature) {
        return signature.length > 0 && !overlaps(image, signature.offset, signature.length);
    });
    return outside;
}

std::vector<disk_signature> to_wipe(std::span<disk_signature const> signatures, extent_map const& image) {
    std::vector<disk_signature> some;
    std::ranges::copy_if(signatures, std::back_inserter(some), [&](disk_signature const& signature) {
        return signature.area_length > 0 ? !gaps_of(image, signature.area_offset, signature.area_length).empty()
                                         : signature.length > 0 && !overlaps(image, signature.offset, signature.length);
    });
    return some;
}

result<void, io_error> wipe_signature(block_device& device, disk_signature const& signature, extent_map const* kept) {
    auto const whole = signature.area_length > 0;
    auto const offset = whole ? signature.area_offset : signature.offset;
    auto const length = whole ? signature.area_length : signature.length;
    auto const gaps = kept != nullptr ? gaps_of(*kept, offset, length) : std::vector<device_gap>{{offset, length}};
    result<void, io_error> outcome;
    for (auto const& gap : gaps) {
        std::vector<std::byte> const zeros(static_cast<std::size_t>(gap.length));
        if (auto written = device.write(gap.offset, zeros); !written && outcome) {
            outcome = std::move(written);
        }
    }
    auto flushed = device.flush();
    if (outcome) {
        outcome = std::move(flushed);
    }
    if (!outcome) {
        device.forget_failed_flush();
    }
    return outcome;
}

} // namespace seedbed
