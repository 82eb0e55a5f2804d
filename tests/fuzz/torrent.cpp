// A .torrent: refused with one line, or an image whose extents and pieces fit together.

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/image/image_torrent.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    torrent_limits limits;
    limits.tokens = 100'000;
    limits.pieces = 100'000;
    auto const found = parse_image_torrent(input.rest(), "fuzz", limits);
    if (!found) {
        fuzz::require_line(found.error().message);
        return 0;
    }
    auto const& extents = found->extents;
    fuzz::require(found->piece_length > 0 && found->piece_count > 0);
    fuzz::require((extents.total_size() + found->piece_length - 1) / found->piece_length == found->piece_count);
    std::int64_t sum = 0;
    std::int64_t end = 0;
    extents.for_each_slice({}, extents.total_size(), [&](extent const& slice) {
        fuzz::require(slice.length > 0);
        sum += slice.length;
        if (slice.device_offset != extent::padding) {
            fuzz::require(slice.device_offset >= end);
            end = slice.device_offset + slice.length;
        }
    });
    fuzz::require(sum == extents.total_size() && end == extents.device_end());
    return 0;
}
