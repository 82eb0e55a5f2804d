#include "daemon/terminal/fleet_lines.hpp"

#include <algorithm>
#include <set>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/terminal/text_table.hpp"
#include "daemon/text/display_text.hpp"

namespace seedbed {

std::string fleet_progress(status_snapshot::image const& image) {
    if (!image.fleet || (!image.fleet->expected && image.fleet->hosts.empty())) {
        return {};
    }
    return fleet_count(*image.fleet) + " complete";
}

std::vector<straggler> fleet_stragglers(status_snapshot::image const& image, bool all) {
    if (!image.fleet) {
        return {};
    }
    std::set<std::string> connected;
    if (!all && image.peers) {
        for (auto const& peer : *image.peers) {
            connected.insert(peer.address);
        }
    }
    std::vector<straggler> behind;
    if (image.status.mode == image_mode::deploy && image.fleet->expected) {
        behind.push_back({fleet_progress(image), ""}); // its row in the table shows its own disk
    }
    for (auto const* host : image.fleet->stragglers()) {
        auto const ended = host->state == host_state::failed || host->state == host_state::refused;
        if (ended || !connected.contains(host->address)) {
            behind.push_back({printable(host->name), printable(describe(*host))});
        }
    }
    for (auto const& address : image.fleet->not_seen) {
        behind.push_back({printable(address), "not seen"});
    }
    if (image.fleet->not_seen.empty() && image.fleet->missing > 0) {
        behind.push_back({format_count(image.fleet->missing, "host"), "not seen"});
    }
    return behind;
}

std::vector<std::string> straggler_lines(std::vector<straggler> const& stragglers, std::size_t most,
                                         std::size_t width) {
    if (most == 0 || stragglers.empty()) {
        return {};
    }
    auto const shown = stragglers.size() > most ? most - 1 : stragglers.size();
    text_table table({{.title = ""}, {.title = "", .least = 15}, {.title = "", .least = 8}});
    for (std::size_t i = 0; i < shown; ++i) {
        table.add_row({"   ", stragglers[i].name, stragglers[i].text});
    }
    auto lines = table.lines(width);
    lines.erase(lines.begin()); // the titles, which are empty
    if (shown < stragglers.size()) {
        auto const more = fmt::format("     ... {} more", stragglers.size() - shown);
        lines.push_back(width == 0 ? more : shorten(more, width));
    }
    return lines;
}

} // namespace seedbed
