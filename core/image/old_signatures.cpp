#include "core/image/old_signatures.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace seedbed {

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

result<void, io_error> wipe_signatures(block_device& device, std::span<disk_signature const> signatures) {
    for (auto const& signature : signatures) {
        std::vector<std::byte> const zeros(static_cast<std::size_t>(signature.length));
        if (auto written = device.write(signature.offset, zeros); !written) {
            return written;
        }
    }
    return signatures.empty() ? result<void, io_error>() : device.flush();
}

} // namespace seedbed
