// The dump of a partition table that sfdisk prints: refused with one line, or a valid layout.

#include <cstddef>
#include <cstdint>

#include "core/layout/disk_layout.hpp"
#include "core/layout/sfdisk_dump.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    auto const layout = parse_sfdisk_dump(input.rest(), "dump");
    if (!layout) {
        fuzz::require_line(layout.error().message);
        return 0;
    }
    fuzz::require(check_layout(*layout).has_value());
    auto const again = parse_disk_layout(to_bencode(*layout));
    fuzz::require(again.has_value() && *again == *layout);
    return 0;
}
