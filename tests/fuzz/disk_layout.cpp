// A disk's layout from an info dictionary: refused with one line, or valid and equal to what is written again.

#include <cstddef>
#include <cstdint>

#include "core/layout/disk_layout.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    auto const bytes = input.rest();
    auto const layout = parse_disk_layout(bytes);
    if (!layout) {
        fuzz::require_line(layout.error().message);
        return 0;
    }
    fuzz::require(check_layout(*layout).has_value());
    fuzz::require(to_bencode(*layout) == bytes);
    return 0;
}
