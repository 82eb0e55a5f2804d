#include "daemon/terminal/peer_lines.hpp"

#include <algorithm>
#include <cstddef>
#include <tuple>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/text/display_text.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

/// Selects \p count of an image's peers, those with the least progress, ordered by address.
std::vector<peer_status> chosen_peers(std::vector<peer_status> peers, std::size_t count) {
    if (count < peers.size()) {
        std::ranges::stable_sort(peers, {}, &peer_status::fraction);
        peers.resize(count);
    }
    // Shorter addresses first, so that 10.0.0.9 comes before 10.0.0.10.
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

} // namespace

void peer_lines::add(status_snapshot::image const& image, std::size_t count) {
    m_counts.push_back(0);
    m_left_out.emplace_back();
    if (count == 0) {
        return;
    }
    auto const all = image.peers->size();
    auto const shown = count < all ? count - 1 : all; // the last line counts the others
    if (shown < all) {
        m_left_out.back() = shorten("    ... " + format_count(all - shown, "more peer"), m_width);
    }
    for (auto const& peer : chosen_peers(*image.peers, shown)) {
        auto const address = peer.address.find(':') == std::string::npos ? peer.address : "[" + peer.address + "]";
        m_table.add_row({"   ", printable(address + ":" + std::to_string(peer.port)),
                         progress_bar(peer.seed ? 1 : peer.fraction, 22),
                         peer.seed ? "seed" : format_percent(peer.fraction), activity_of(peer),
                         printable(peer.client)});
        ++m_counts.back();
    }
}

std::vector<std::vector<std::string>> peer_lines::by_image() const {
    auto const all = m_table.lines(m_width);
    std::vector<std::vector<std::string>> lines;
    auto at = all.begin() + 1; // skips the titles, which are empty
    for (std::size_t i = 0; i < m_counts.size(); ++i) {
        auto const end = at + static_cast<std::ptrdiff_t>(m_counts[i]);
        lines.emplace_back(at, end);
        if (!m_left_out[i].empty()) {
            lines.back().push_back(m_left_out[i]);
        }
        at = end;
    }
    return lines;
}

} // namespace seedbed
