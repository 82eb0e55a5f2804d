#include "daemon/service/hang_log.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/fmt/chrono.h>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/wall_clock.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

/// In the time format of the log.
std::string local_time(hang_log::clock::duration ago) {
    using std::chrono::system_clock;
    auto const then = wall_clock_now() - std::chrono::duration_cast<system_clock::duration>(ago);
    return fmt::format("{:%H:%M:%S}", fmt::localtime(system_clock::to_time_t(then)));
}

} // namespace

void hang_log::look(std::vector<device> const& devices, clock::time_point now, clock::duration patience) {
    auto const before = std::exchange(m_hanging, {});
    for (auto const& each : devices) {
        log_fields const fields{each.image, each.path, {}};
        auto const known = before.find(each.image);
        if (known != before.end() && known->second == each.stalled_since) {
            m_hanging.insert(*known);
            continue;
        }
        if (known != before.end()) {
            log_info(fields, fmt::format("{} answers again after {}", each.path, format_duration(now - known->second)));
        }
        if (auto const stalled = now - each.stalled_since; stalled > patience) {
            log_warning(fields, fmt::format("{} hangs: no operation has completed since {} ({}); waiting", each.path,
                                            local_time(stalled), format_duration(stalled)));
            m_hanging.emplace(each.image, each.stalled_since);
        }
    }
}

} // namespace seedbed
