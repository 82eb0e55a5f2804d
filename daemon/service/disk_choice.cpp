#include "daemon/service/disk_choice.hpp"

#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/image/image_opener.hpp"

namespace seedbed {

namespace {

/// The partitions of a packed image move to fit a disk, so only the plan knows whether they fit.
disk_fit fits_layout(disk_layout const& layout, growth const& grow) {
    return [layout, grow](disk_facts const& disk) -> std::optional<std::string> {
        auto const planned = plan_deployment(layout, disk.size, static_cast<std::int32_t>(disk.sector_size), grow);
        return planned ? std::nullopt : std::optional("does not suit: " + planned.error().message);
    };
}

} // namespace

result<std::string> choose_target(disk_rule const& rule, image_settings const& wanted, image_torrent const& torrent,
                                  growth const& grow, system_paths const& paths) {
    auto const fit = torrent.packed && torrent.packed->description.layout
                         ? fits_layout(*torrent.packed->description.layout, grow)
                         : at_least(requirements_of(wanted, torrent).min_size);
    return choose_disk(rule, rule.path.empty() ? list_disks(paths) : std::vector<disk_facts>{}, fit);
}

} // namespace seedbed
