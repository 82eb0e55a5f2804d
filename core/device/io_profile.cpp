#include "core/device/io_profile.hpp"

namespace seedbed {

char const* to_string(io_engine_kind engine) noexcept {
    switch (engine) {
    case io_engine_kind::automatic:
        return "auto";
    case io_engine_kind::threads:
        return "threads";
    case io_engine_kind::io_uring:
        return "io_uring";
    }
    return "auto";
}

char const* to_string(direct_io_mode mode) noexcept {
    switch (mode) {
    case direct_io_mode::automatic:
        return "auto";
    case direct_io_mode::on:
        return "true";
    case direct_io_mode::off:
        return "false";
    }
    return "auto";
}

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
    if (profile.queue_depth < min_queue_depth || profile.queue_depth > max_queue_depth) {
        return "queue_depth";
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
        return {.threads = 2,
                .coalesce = 4LL << 20,
                .backlog_runs = 4,
                .delay = milliseconds(50),
                .read_ahead = 16LL << 20,
                .queue_depth = 2,
                .elevator = true};
    case storage_class::sata_ssd:
        return {.threads = 8,
                .coalesce = 1LL << 20,
                .delay = milliseconds(100),
                .read_ahead = 512LL << 10,
                .queue_depth = 16};
    case storage_class::nvme:
        return {.threads = 32,
                .coalesce = 1LL << 20,
                .delay = milliseconds(100),
                .read_ahead = 1LL << 20,
                .queue_depth = 64};
    }
    return {};
}

} // namespace seedbed
