// A configuration file: errors of one line each that name the file, or settings within their limits.

#include <cstddef>
#include <cstdint>

#include "config/load.hpp"
#include "core/device/io_profile.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    auto const found = parse_settings(input.rest(), "fuzz.toml");
    if (!found) {
        fuzz::require(!found.error().lines.empty());
        for (auto const& line : found.error().lines) {
            fuzz::require_line(line);
            fuzz::require(line.starts_with("fuzz.toml:"));
        }
        return 0;
    }
    for (auto const& profile : found->profiles) {
        fuzz::require(out_of_limits(profile).empty());
    }
    return 0;
}
