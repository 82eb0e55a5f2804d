// partclone's torrent.info: refused with one line, or extents whose sum fits the number of hashes.

#include <cstddef>
#include <cstdint>

#include "core/image/partclone_info.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    auto const found = parse_partclone_info(input.rest(), "fuzz");
    if (!found) {
        fuzz::require_line(found.error().message);
        return 0;
    }
    auto const total = found->extents.total_size();
    fuzz::require(total > 0 && found->extents.device_end() >= total);
    auto const pieces = (total - 1) / partclone_piece_length + 1;
    fuzz::require(static_cast<std::int64_t>(found->hashes.size()) == pieces);
    return 0;
}
