#include "daemon/terminal/status_layout.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/printable.hpp"
#include "daemon/terminal/fleet_lines.hpp"
#include "daemon/terminal/text_table.hpp"
#include "daemon/text/display_text.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using image = status_snapshot::image;
using lines = std::vector<std::string>;

/// Of a check or a verification: from here on its end can be told.
constexpr double least_fraction = 0.01;
/// Of the lines below an image's row, in a table that has all the room it wants.
constexpr std::size_t most_stragglers = 6;

void append(lines& to, lines const& more) {
    to.insert(to.end(), more.begin(), more.end());
}

double share(std::uint64_t part, std::uint64_t all) {
    return static_cast<double>(part) / static_cast<double>(std::max<std::uint64_t>(all, 1));
}

std::string rate_or_dash(std::int64_t bytes_per_second) {
    return bytes_per_second > 0 ? format_rate(bytes_per_second) : "-";
}

/// Up: what is left of a second is a second.
std::string time_left(double seconds) {
    return format_duration(std::ceil(seconds));
}

/// As many of the parts as fit, the first ones first.
std::string join(lines const& parts, std::size_t width) {
    std::string text;
    for (auto const& part : parts) {
        auto const longer = text.empty() ? part : text + "; " + part;
        if (width > 0 && longer.size() > width) {
            break;
        }
        text = longer;
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

bool is_read_through(image_status const& status) {
    return status.state == image_state::checking || status.state == image_state::verifying;
}

std::string progress_of(image const& each) {
    auto const& status = each.status;
    switch (status.state) {
    case image_state::checking:
    case image_state::downloading:
    case image_state::verifying:
        return format_percent(status.fraction);
    case image_state::seeding:
        if (auto const hosts = fleet_progress(each); status.mode == image_mode::seed && !hosts.empty()) {
            return hosts;
        }
        return status.verified ? "verified" : status.durable ? "durable" : format_percent(1.0);
    default:
        return "-";
    }
}

/// Of what the state is about: what is read, what comes in, or what goes out.
std::string rate_of(image_status const& status) {
    if (is_read_through(status)) {
        return rate_or_dash(status.phase_seconds > 0
                                ? static_cast<std::int64_t>(status.fraction * static_cast<double>(status.total_bytes) /
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
    if (is_read_through(status) && status.fraction >= least_fraction) {
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

std::size_t peers_of(image const& each) {
    return each.peers ? each.peers->size() : static_cast<std::size_t>(std::max(each.status.peers, 0));
}

text_table image_table(std::vector<image const*> const& images) {
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
                       std::to_string(peers_of(*each)), left_of(status), printable(status.device),
                       name_of(status.detected), status.total_bytes > 0 ? format_byte_size(status.total_bytes) : "-",
                       format_byte_size(status.uploaded), name_of(status.profile),
                       status.engine.empty() ? "-" : printable(status.engine)});
    }
    return table;
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

/// What somebody who watches wants to see first: 0 what failed, 1 what is under way, 2 what serves, 3 the rest.
int urgency(image const& each) {
    switch (each.status.state) {
    case image_state::failed:
        return 0;
    case image_state::seeding:
        return peers_of(each) > 0 ? 2 : 3;
    case image_state::closed:
        return 3;
    default:
        return 1;
    }
}

/// At most \p count of the images, in their order.
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

/// Deals \p lines_left lines to those who want them, so that nobody has more than one more than another who wants more.
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

/// Of one image: those with the least where it is not all, in the order of addresses.
std::vector<peer_status> chosen_peers(std::vector<peer_status> peers, std::size_t count) {
    if (count < peers.size()) {
        std::ranges::stable_sort(peers, {}, &peer_status::fraction);
        peers.resize(count);
    }
    // Shorter ones first: so 10.0.0.9 comes before 10.0.0.10.
    std::ranges::stable_sort(
        peers, {}, [](peer_status const& peer) { return std::tuple(peer.address.size(), peer.address, peer.port); });
    return peers;
}

std::string activity_of(peer_status const& peer) {
    if (peer.upload_rate > 0 && peer.upload_rate >= peer.download_rate) {
        return "gets " + format_rate(peer.upload_rate);
    }
    return peer.download_rate > 0 ? "sends " + format_rate(peer.download_rate) : "idle";
}

/// The lines of all peers that are shown, image after image: their columns stand below each other.
class peer_lines {
public:
    explicit peer_lines(std::size_t width)
        : m_width(width) {}

    void add(image const& of, std::size_t count) {
        m_counts.push_back(0);
        m_left_out.emplace_back();
        if (count == 0) {
            return;
        }
        auto const all = of.peers->size();
        auto const shown = count < all ? count - 1 : all; // one line tells of the others
        if (shown < all) {
            m_left_out.back() = shorten("    ... " + format_count(all - shown, "more peer"), m_width);
        }
        for (auto const& peer : chosen_peers(*of.peers, shown)) {
            auto const address = peer.address.find(':') == std::string::npos ? peer.address : "[" + peer.address + "]";
            m_table.add_row({"   ", printable(address + ":" + std::to_string(peer.port)),
                             progress_bar(peer.seed ? 1 : peer.fraction, 22),
                             peer.seed ? "seed" : format_percent(peer.fraction), activity_of(peer),
                             printable(peer.client)});
            ++m_counts.back();
        }
    }

    /// The lines of each image that was added.
    [[nodiscard]] std::vector<lines> take() const {
        auto const all = m_table.lines(m_width);
        std::vector<lines> by_image;
        auto at = all.begin() + 1; // the titles are empty
        for (std::size_t i = 0; i < m_counts.size(); ++i) {
            auto const end = at + static_cast<std::ptrdiff_t>(m_counts[i]);
            by_image.emplace_back(at, end);
            if (!m_left_out[i].empty()) {
                by_image.back().push_back(m_left_out[i]);
            }
            at = end;
        }
        return by_image;
    }

private:
    std::size_t const m_width;
    text_table m_table{{{.title = ""},
                        {.title = "", .least = 15},
                        {.title = "", .rank = 3},
                        {.title = "", .rank = 1, .right = true},
                        {.title = "", .rank = 2},
                        {.title = "", .rank = 4, .least = 8}}};
    std::vector<std::size_t> m_counts;
    lines m_left_out;
};

} // namespace

std::vector<std::string> status_table(status_snapshot const& snapshot, std::size_t width) {
    lines all{summary(snapshot, width)};
    if (!snapshot.images.empty()) {
        auto const rows = image_table(all_of(snapshot)).lines(width);
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
    auto const room_for_note = note.size() + 2;
    auto first = summary(snapshot, width > room_for_note ? width - room_for_note : width);
    if (first.size() + room_for_note <= width) {
        first += std::string(width - first.size() - note.size(), ' ') + note;
    }
    lines screen{first};

    auto errors = errors_of(snapshot, trouble, width);
    if (auto const most = std::max<std::size_t>(height / 3, 1); errors.size() > most) {
        auto const hidden = errors.size() - most + 1;
        errors.resize(most);
        errors.back() = shorten(fmt::format("... {} more lines: see seedbed status", hidden), width);
    }
    auto const all = all_of(snapshot);
    auto const body = height > heads + errors.size() ? height - heads - errors.size() : 1;
    auto const shown = all.size() > body ? most_urgent(all, body - 1) : all;
    auto const left = body - shown.size() - (shown.size() < all.size() ? 1 : 0);

    std::vector<std::size_t> wanted;
    std::vector<std::vector<straggler>> stragglers;
    for (auto const* each : shown) {
        stragglers.push_back(fleet_stragglers(*each, false));
        wanted.push_back(stragglers.back().size() + (each->peers ? each->peers->size() : 0));
    }
    auto const dealt = deal(wanted, left);
    peer_lines peers(width);
    std::vector<lines> behind;
    for (std::size_t i = 0; i < shown.size(); ++i) {
        // Half of the lines are theirs where there are not enough for both, and more where the peers leave some.
        auto const count =
            std::min(stragglers[i].size(),
                     std::max(dealt[i] - std::min(dealt[i], wanted[i] - stragglers[i].size()), (dealt[i] + 1) / 2));
        behind.push_back(straggler_lines(stragglers[i], count, width));
        peers.add(*shown[i], dealt[i] - count);
    }
    if (!all.empty()) {
        auto const rows = image_table(shown).lines(width);
        auto const below = peers.take();
        screen.push_back(rows.front());
        for (std::size_t i = 0; i < shown.size(); ++i) {
            screen.push_back(rows[i + 1]);
            append(screen, behind[i]);
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
