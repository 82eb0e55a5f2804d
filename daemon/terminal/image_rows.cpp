#include "daemon/terminal/image_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "core/foundation/printable.hpp"
#include "daemon/terminal/fleet_lines.hpp"
#include "daemon/text/display_text.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

/// The minimum progress of a check or verification from which its end can be estimated.
constexpr double least_fraction = 0.01;

std::string rate_or_dash(std::int64_t bytes_per_second) {
    return bytes_per_second > 0 ? format_rate(bytes_per_second) : "-";
}

/// Rounded up: a fraction of a second counts as a second.
std::string time_left(double seconds) {
    return format_duration(std::ceil(seconds));
}

bool reads_device(image_status const& status) {
    return status.state == image_state::checking || status.state == image_state::verifying;
}

std::string progress_of(status_snapshot::image const& each) {
    auto const& status = each.status;
    switch (status.state) {
    case image_state::checking:
    case image_state::downloading:
    case image_state::verifying:
        return format_percent(status.fraction);
    case image_state::seeding:
        if (auto hosts = fleet_progress(each); status.mode == image_mode::seed && !hosts.empty()) {
            return hosts;
        }
        return status.verified ? "verified" : status.durable ? "durable" : format_percent(1.0);
    default:
        return "-";
    }
}

/// The rate of the state's work: reading, downloading or uploading.
std::string rate_of(image_status const& status) {
    if (reads_device(status)) {
        return rate_or_dash(
            status.phase_seconds > 0
                ? static_cast<std::int64_t>(status.fraction * static_cast<double>(status.device_bytes()) /
                                            status.phase_seconds)
                : 0);
    }
    switch (status.state) {
    case image_state::downloading:
        return rate_or_dash(status.download_rate);
    case image_state::seeding:
        return rate_or_dash(status.upload_rate);
    default:
        return "-";
    }
}

std::string left_of(image_status const& status) {
    if (reads_device(status) && status.fraction >= least_fraction) {
        return time_left(status.phase_seconds * (1 - status.fraction) / status.fraction);
    }
    if (status.state == image_state::downloading && status.download_rate > 0) {
        return time_left(static_cast<double>(status.bytes_left) / static_cast<double>(status.download_rate));
    }
    return "-";
}

std::string name_of(std::optional<storage_class> const& cls) {
    return cls ? display_name(*cls) : "-";
}

} // namespace

text_table image_rows(std::vector<status_snapshot::image const*> const& images) {
    text_table table({{.title = "NAME", .least = 8},
                      {.title = "STATE"},
                      {.title = "PROGRESS", .rank = 1, .right = true},
                      {.title = "RATE", .rank = 2, .right = true},
                      {.title = "PEERS", .rank = 3, .right = true},
                      {.title = "LEFT", .rank = 4, .right = true},
                      {.title = "DEVICE", .rank = 5, .least = 12},
                      {.title = "CLASS", .rank = 6},
                      {.title = "SIZE", .rank = 7, .right = true, .extra = true},
                      {.title = "SENT", .rank = 8, .right = true, .extra = true},
                      {.title = "PROFILE", .rank = 9, .extra = true},
                      {.title = "ENGINE", .rank = 10, .extra = true}});
    for (auto const* each : images) {
        auto const& status = each->status;
        table.add_row({printable(status.name), to_string(status.state), progress_of(*each), rate_of(status),
                       std::to_string(peer_count(*each)), left_of(status), printable(status.device),
                       name_of(status.detected), status.total_bytes > 0 ? format_byte_size(status.total_bytes) : "-",
                       format_byte_size(status.uploaded), name_of(status.profile),
                       status.engine.empty() ? "-" : printable(status.engine)});
    }
    return table;
}

std::size_t peer_count(status_snapshot::image const& image) {
    return image.peers ? image.peers->size() : static_cast<std::size_t>(std::max(image.status.peers, 0));
}

} // namespace seedbed
