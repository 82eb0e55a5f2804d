#include "daemon/image/status_line.hpp"

#include <algorithm>
#include <cstdint>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "daemon/image/image_text.hpp"

namespace seedbed {

namespace {

/// The status without the name.
std::string state_text(image_status const& status) {
    switch (status.state) {
    case image_state::checking:
    case image_state::verifying:
        return fmt::format("{} {}", to_string(status.state), percent_text(status.fraction));
    case image_state::downloading:
        return fmt::format("downloading {}, {}, {}", percent_text(status.fraction), rate_text(status.download_rate),
                           count_text(status.peers, "peer"));
    case image_state::seeding:
        if (status.peers > 0) {
            return fmt::format("seeding, {} to {}", rate_text(status.upload_rate), count_text(status.peers, "peer"));
        }
        return "seeding";
    case image_state::failed:
        return "failed: " + status.failure;
    default:
        return to_string(status.state);
    }
}

double percentage(std::uint64_t part, std::uint64_t all) {
    return 100 * static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1));
}

} // namespace

std::string status_line(image_status const& status) {
    return status.name + ": " + state_text(status);
}

std::string summary_line(image_status const& status, piece_cache::statistics const& cache) {
    auto line = state_text(status);
    if (status.state == image_state::downloading) {
        line += fmt::format(", {} left", format_byte_size(status.bytes_left));
        // libtorrent's rate decays slowly after the last peer has left: without a
        // peer, it says nothing.
        if (status.peers > 0 && status.download_rate > 0) {
            line += ", about " +
                    duration_text(static_cast<double>(status.bytes_left) / static_cast<double>(status.download_rate));
        }
    } else if (status.state == image_state::seeding) {
        line += fmt::format(", {} uploaded", format_byte_size(status.uploaded));
    }
    if (auto const reads = cache.hits + cache.misses; reads > 0) {
        line += fmt::format("; all images: cache hit rate {:.1f}%, lock contention {:.2f}%",
                            percentage(cache.hits, reads), percentage(cache.contended, cache.locks));
    }
    return line;
}

} // namespace seedbed
