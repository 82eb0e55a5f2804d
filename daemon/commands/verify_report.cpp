#include "daemon/commands/verify_report.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <numeric>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using json = nlohmann::ordered_json;

/// The "format" of the JSON document: incremented when a key changes its meaning or is removed.
constexpr int verify_format = 1;
/// Number of extents listed in the text.
constexpr std::size_t most_listed = 20;

std::string equal_line(std::string const& device, std::int64_t bytes, double seconds) {
    return fmt::format("{}: equal: {} in {} ({})\n", device, format_byte_size(bytes), format_duration(seconds),
                       format_rate(bytes, seconds));
}

std::string extent_line(bad_extent const& bad) {
    auto const pieces = bad.first_piece == bad.last_piece
                            ? fmt::format("piece {}", bad.first_piece.value())
                            : fmt::format("pieces {} to {}", bad.first_piece.value(), bad.last_piece.value());
    return fmt::format("offset {}, length {}: {}\n", bad.offset, bad.length, pieces);
}

} // namespace

std::string verify_json(std::string const& device, image_torrent const& torrent, verify_result const& result,
                        std::vector<bad_extent> const& bad) {
    auto list = json::array();
    for (auto const& extent : bad) {
        list.push_back({{"offset", extent.offset},
                        {"length", extent.length},
                        {"first_piece", extent.first_piece.value()},
                        {"last_piece", extent.last_piece.value()}});
    }
    auto const& failed = result.outcome.read_failed;
    json const document{{"format", verify_format},
                        {"device", device},
                        {"name", torrent.name},
                        {"info_hash", torrent.info_hash.to_hex()},
                        {"bytes", torrent.extents.total_size()},
                        {"pieces", torrent.piece_count},
                        {"equal", result.outcome.ok()},
                        {"complete", !failed && !result.outcome.cancelled},
                        {"bad_pieces", result.outcome.pieces.size()},
                        {"bad_extents", list},
                        {"error", failed ? json(failed->message()) : json()},
                        {"seconds", result.seconds}};
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string verify_text(std::string const& device, image_torrent const& torrent, verify_result const& result,
                        std::vector<bad_extent> const& bad) {
    auto const name = printable(device);
    if (result.outcome.ok()) {
        return equal_line(name, torrent.extents.total_size(), result.seconds);
    }
    if (bad.empty()) {
        return {};
    }
    auto const bytes = std::accumulate(bad.begin(), bad.end(), std::int64_t{0},
                                       [](std::int64_t sum, bad_extent const& extent) { return sum + extent.length; });
    auto text = fmt::format("{}: {} of {} pieces differ: {} in {}\n", name, result.outcome.pieces.size(),
                            torrent.piece_count, format_byte_size(bytes), format_count(bad.size(), "extent"));
    for (std::size_t i = 0; i < std::min(bad.size(), most_listed); ++i) {
        text += extent_line(bad[i]);
    }
    if (bad.size() > most_listed) {
        text += fmt::format("and {} more; --json lists all\n", bad.size() - most_listed);
    }
    return text;
}

void warn_if_mounted(std::string const& path, device_requirements requirements) {
    if (!requirements.allow_mounted) {
        return;
    }
    requirements.allow_mounted = false;
    if (auto const checked = check_block_device(path, requirements); !checked) {
        std::cerr << "seedbed verify: warning: " << printable(checked.error().message)
                  << ": concurrent writes may be missed or reported as differences\n";
    }
}

} // namespace seedbed
