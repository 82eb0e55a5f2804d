#include "daemon/terminal/status_layout.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/terminal/fleet_lines.hpp"
#include "daemon/terminal/image_rows.hpp"
#include "daemon/terminal/peer_lines.hpp"
#include "daemon/text/display_text.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using image = status_snapshot::image;
using lines = std::vector<std::string>;

/// Incomplete hosts listed below an image's row in a table, which has no height limit.
constexpr std::size_t most_stragglers = 6;
/// Peers named in an image's line about damage.
constexpr std::size_t most_damaging_peers = 3;

void append(lines& to, lines const& more) {
    to.insert(to.end(), more.begin(), more.end());
}

double share(std::uint64_t part, std::uint64_t all) {
    return static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1));
}

/// Joins as many of the parts as fit, starting with the first.
std::string join(lines const& parts, std::size_t width) {
    std::string text;
    for (auto const& part : parts) {
        auto longer = text;
        longer += longer.empty() ? "" : "; ";
        longer += part;
        if (width > 0 && longer.size() > width) {
            break;
        }
        text = std::move(longer);
    }
    return text.empty() && !parts.empty() ? shorten(parts.front(), width) : text;
}

std::string summary(status_snapshot const& snapshot, std::size_t width) {
    auto const& pool = snapshot.pool;
    auto const& cache = snapshot.cache;
    lines parts{fmt::format("Seedbed {}, up {}{}", printable(snapshot.version),
                            format_duration(std::floor(snapshot.uptime_seconds)),
                            snapshot.stopping ? ", stopping" : ""),
                format_count(snapshot.images.size(), "image")};
    if (pool.capacity > 0) {
        parts.push_back(fmt::format("pool {} of {}",
                                    format_percent(static_cast<double>(pool.used) / static_cast<double>(pool.capacity)),
                                    format_byte_size(pool.capacity)));
    }
    if (auto const reads = cache.hits + cache.misses; reads > 0) {
        parts.push_back(fmt::format("cache {} hits", format_percent(share(cache.hits, reads), 1)));
        parts.push_back(fmt::format("locks {} busy", format_percent(share(cache.contended, cache.locks), 2)));
    }
    return join(parts, width);
}

/// "golden: damaged pieces: 12 from 192.0.2.7, 1 from 192.0.2.8"; empty if there were none. The worst peers first.
std::string damage_of(image_status const& status) {
    std::vector<std::pair<std::string, int>> peers(status.damage.begin(), status.damage.end());
    std::ranges::stable_sort(peers, std::ranges::greater{}, &std::pair<std::string, int>::second);
    std::string text;
    for (std::size_t i = 0; i < std::min(peers.size(), most_damaging_peers); ++i) {
        text += fmt::format("{}{} from {}", i == 0 ? "" : ", ", peers[i].second, peers[i].first);
    }
    if (peers.size() > most_damaging_peers) {
        text += ", " + format_count(peers.size() - most_damaging_peers, "more peer");
    }
    return text.empty() ? "" : status.name + ": damaged pieces: " + text;
}

lines errors_of(status_snapshot const& snapshot, std::string const& trouble, std::size_t width) {
    lines all;
    if (!trouble.empty()) {
        append(all, wrap(printable(trouble), width));
    }
    if (auto const complaint = snapshot.complaint(); !complaint.empty()) {
        append(all, wrap("hangs: " + printable(complaint), width));
    }
    for (auto const& each : snapshot.images) {
        if (auto const damage = damage_of(each.status); !damage.empty()) {
            append(all, wrap(printable(damage), width));
        }
        if (each.status.state == image_state::failed) {
            append(all, wrap(printable(each.status.name + ": failed: " + each.status.failure), width));
        }
    }
    return all;
}

std::vector<image const*> all_of(status_snapshot const& snapshot) {
    std::vector<image const*> all;
    for (auto const& each : snapshot.images) {
        all.push_back(&each);
    }
    return all;
}

// --- the screen

/// The order of interest to the viewer: 0 failed, 1 in progress, 2 seeding to peers, 3 the rest.
int urgency(image const& each) {
    switch (each.status.state) {
    case image_state::failed:
        return 0;
    case image_state::seeding:
        return peer_count(each) > 0 ? 2 : 3;
    case image_state::closed:
        return 3;
    default:
        return 1;
    }
}

/// The \p count most urgent images, in their original order.
std::vector<image const*> most_urgent(std::vector<image const*> const& all, std::size_t count) {
    auto by_urgency = all;
    std::ranges::stable_sort(by_urgency, {}, [](image const* each) { return urgency(*each); });
    by_urgency.resize(std::min(count, by_urgency.size()));
    std::vector<image const*> kept;
    std::ranges::copy_if(all, std::back_inserter(kept),
                         [&](image const* each) { return std::ranges::find(by_urgency, each) != by_urgency.end(); });
    return kept;
}

/// "... 12 more images: 2 downloading, 10 seeding".
std::string images_left_out(std::vector<image const*> const& all, std::vector<image const*> const& shown,
                            std::size_t width) {
    std::map<image_state, int> counts;
    for (auto const* each : all) {
        if (std::ranges::find(shown, each) == shown.end()) {
            ++counts[each->status.state];
        }
    }
    std::string states;
    for (auto const& [state, count] : counts) {
        states += fmt::format("{}{} {}", states.empty() ? "" : ", ", count, to_string(state));
    }
    auto const count = all.size() - shown.size();
    return shorten(fmt::format("... {}: {}", format_count(count, "more image"), states), width);
}

/// Distributes \p lines_left lines as evenly as the wanted numbers allow.
std::vector<std::size_t> deal(std::vector<std::size_t> const& wanted, std::size_t lines_left) {
    std::vector<std::size_t> dealt(wanted.size(), 0);
    for (bool any = true; any && lines_left > 0;) {
        any = false;
        for (std::size_t i = 0; i < wanted.size() && lines_left > 0; ++i) {
            if (dealt[i] < wanted[i]) {
                ++dealt[i];
                --lines_left;
                any = true;
            }
        }
    }
    return dealt;
}

/// The lines below each image's row, \p room in total: its incomplete hosts, then its peers.
std::vector<lines> lines_below(std::vector<image const*> const& images, std::size_t room, std::size_t width) {
    std::vector<std::size_t> wanted;
    std::vector<std::vector<straggler>> stragglers;
    for (auto const* each : images) {
        stragglers.push_back(fleet_stragglers(*each, false));
        wanted.push_back(stragglers.back().size() + (each->peers ? each->peers->size() : 0));
    }
    auto const dealt = deal(wanted, room);
    peer_lines peers(width);
    std::vector<lines> below;
    for (std::size_t i = 0; i < images.size(); ++i) {
        // If there are too few lines for both, hosts get half of them, and more if the peers need fewer.
        auto const count =
            std::min(stragglers[i].size(),
                     std::max(dealt[i] - std::min(dealt[i], wanted[i] - stragglers[i].size()), (dealt[i] + 1) / 2));
        below.push_back(straggler_lines(stragglers[i], count, width));
        peers.add(*images[i], dealt[i] - count);
    }
    auto const of_peers = peers.by_image();
    for (std::size_t i = 0; i < images.size(); ++i) {
        append(below[i], of_peers[i]);
    }
    return below;
}

/// The summary, with \p note at the end of the line if it fits.
std::string first_line(status_snapshot const& snapshot, std::string const& note, std::size_t width) {
    auto const room_for_note = note.size() + 2;
    auto line = summary(snapshot, width > room_for_note ? width - room_for_note : width);
    if (line.size() + room_for_note <= width) {
        line += std::string(width - line.size() - note.size(), ' ') + note;
    }
    return line;
}

/// At most \p most of the lines; if there are more, the last one counts those that are hidden.
lines limited(lines all, std::size_t most, std::size_t width) {
    if (all.size() > most) {
        auto const hidden = all.size() - most + 1;
        all.resize(most);
        all.back() = shorten(fmt::format("... {} more lines: see seedbed status", hidden), width);
    }
    return all;
}

} // namespace

std::vector<std::string> status_table(status_snapshot const& snapshot, std::size_t width) {
    lines all{summary(snapshot, width)};
    if (!snapshot.images.empty()) {
        auto const rows = image_rows(all_of(snapshot)).lines(width);
        all.push_back(rows.front());
        for (std::size_t i = 0; i < snapshot.images.size(); ++i) {
            all.push_back(rows[i + 1]);
            append(all, straggler_lines(fleet_stragglers(snapshot.images[i], true), most_stragglers, width));
        }
    }
    append(all, errors_of(snapshot, {}, width));
    return all;
}

std::vector<std::string> status_screen(status_snapshot const& snapshot, std::string const& note,
                                       std::string const& trouble, std::size_t width, std::size_t height) {
    constexpr std::size_t heads = 2;
    width = std::max<std::size_t>(width, 1);
    auto const errors = limited(errors_of(snapshot, trouble, width), std::max<std::size_t>(height / 3, 1), width);
    auto const all = all_of(snapshot);
    auto const body = height > heads + errors.size() ? height - heads - errors.size() : 1;
    auto const shown = all.size() > body ? most_urgent(all, body - 1) : all;
    auto const left = body - shown.size() - (shown.size() < all.size() ? 1 : 0);

    lines screen{first_line(snapshot, note, width)};
    if (!all.empty()) {
        auto const rows = image_rows(shown).lines(width);
        auto const below = lines_below(shown, left, width);
        screen.push_back(rows.front());
        for (std::size_t i = 0; i < shown.size(); ++i) {
            screen.push_back(rows[i + 1]);
            append(screen, below[i]);
        }
    }
    if (shown.size() < all.size()) {
        screen.push_back(images_left_out(all, shown, width));
    }
    append(screen, errors);
    screen.resize(std::min(screen.size(), height));
    return screen;
}

} // namespace seedbed
