#include "daemon/image/status_line.hpp"

#include <algorithm>
#include <cstdint>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

/// The status without the name.
std::string state_text(image_status const& status) {
    switch (status.state) {
    case image_state::checking:
    case image_state::verifying:
        return fmt::format("{} {}", to_string(status.state), format_percent(status.fraction));
    case image_state::downloading:
        return fmt::format("downloading {}, {}, {}", format_percent(status.fraction), format_rate(status.download_rate),
                           format_count(status.peers, "peer"));
    case image_state::seeding:
        if (status.peers > 0) {
            return fmt::format("seeding, {} to {}", format_rate(status.upload_rate),
                               format_count(status.peers, "peer"));
        }
        return "seeding";
    case image_state::failed:
        return "failed: " + status.failure;
    default:
        return to_string(status.state);
    }
}

double share(std::uint64_t part, std::uint64_t all) {
    return static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1));
}

} // namespace

std::string status_line(image_status const& status) {
    return status.name + ": " + state_text(status);
}

std::string summary_line(image_status const& status, piece_cache::statistics const& cache) {
    auto line = state_text(status);
    if (status.state == image_state::downloading) {
        line += fmt::format(", {} left", format_byte_size(status.bytes_left));
        // libtorrent's rate decays slowly after the last peer has left: without a peer, it is meaningless.
        if (status.peers > 0 && status.download_rate > 0) {
            line += ", about " +
                    format_duration(static_cast<double>(status.bytes_left) / static_cast<double>(status.download_rate));
        }
    } else if (status.state == image_state::seeding) {
        line += fmt::format(", {} uploaded", format_byte_size(status.uploaded));
    }
    if (auto const reads = cache.hits + cache.misses; reads > 0) {
        line += fmt::format("; all images: cache hit rate {}, lock contention {}",
                            format_percent(share(cache.hits, reads), 1),
                            format_percent(share(cache.contended, cache.locks), 2));
    }
    return line;
}

} // namespace seedbed
