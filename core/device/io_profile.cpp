#include "core/device/io_profile.hpp"

namespace seedbed {

std::string_view out_of_limits(io_profile const& profile) noexcept {
    using namespace io_profile_limits;
    if (profile.threads < min_threads || profile.threads > max_threads) {
        return "threads";
    }
    if (profile.coalesce < min_coalesce || profile.coalesce > max_coalesce) {
        return "coalesce";
    }
    if (profile.delay < min_delay || profile.delay > max_delay) {
        return "delay";
    }
    if (profile.read_ahead < min_read_ahead || profile.read_ahead > max_read_ahead) {
        return "read_ahead";
    }
    return {};
}

io_profile default_profile(storage_class cls) noexcept {
    using std::chrono::milliseconds;
    switch (cls) {
    case storage_class::hdd:
        return {2, 16LL << 20, milliseconds(1'000), 4LL << 20};
    case storage_class::sata_ssd:
        return {8, 1LL << 20, milliseconds(100), 512LL << 10};
    case storage_class::nvme:
        return {32, 256LL << 10, milliseconds(10), 128LL << 10};
    }
    return {};
}

} // namespace seedbed
