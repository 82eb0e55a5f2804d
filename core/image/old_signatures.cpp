#include "core/image/old_signatures.hpp"

#include <algorithm>
#include <cstddef>

namespace seedbed {

std::vector<disk_signature> outside_image(std::span<disk_signature const> signatures, extent_map const& image) {
    std::vector<disk_signature> outside;
    for (auto const& signature : signatures) {
        auto const covers = [&](extent const& part) {
            return part.device_offset != extent::padding && part.device_offset < signature.offset + signature.length &&
                   signature.offset < part.device_offset + part.length;
        };
        if (signature.length > 0 && std::ranges::none_of(image.extents(), covers)) {
            outside.push_back(signature);
        }
    }
    return outside;
}

result<void, io_error> wipe_signatures(block_device& device, std::span<disk_signature const> signatures) {
    for (auto const& signature : signatures) {
        std::vector<std::byte> const zeros(static_cast<std::size_t>(signature.length));
        if (auto const written = device.write(signature.offset, zeros); !written) {
            return written;
        }
    }
    return signatures.empty() ? result<void, io_error>() : device.flush();
}

} // namespace seedbed
