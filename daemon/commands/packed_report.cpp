#include "daemon/commands/packed_report.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using json = nlohmann::ordered_json;

/// The "format" of the JSON document: incremented when a key changes its meaning or is removed.
constexpr int packed_verify_format = 1;
/// Number of extents listed in the text.
constexpr std::size_t most_listed_chunks = 20;

std::int64_t length_of(std::vector<bad_extent> const& extents) {
    std::int64_t total = 0;
    for (auto const& each : extents) {
        total += each.length;
    }
    return total;
}

} // namespace

std::string packed_text(packed_image const& image) {
    auto const& about = image.description;
    auto const used = about.used.value();
    auto const packed = image.packed_size.value();
    auto const extents = image.index.extents();
    auto first = fmt::format("{}: {} of {} in sectors of {} bytes", image.name, to_string(about.kind),
                             format_byte_size(about.source_size.value()), about.sector_size);
    if (!about.content.empty()) {
        first += ", " + about.content;
    }
    if (!about.label.empty()) {
        first += " \"" + about.label + "\"";
    }
    return printable(first) + '\n' +
           fmt::format("  holds      {} in {} and {}\n", format_byte_size(used),
                       format_count(image.index.chunks().size(), "chunk"),
                       format_count(extents ? extents->extents().size() : 0, "extent")) +
           fmt::format("  packed     {} in {} of {}, {:.2f}:1\n", format_byte_size(packed),
                       format_count(static_cast<std::size_t>(image.piece_count()), "piece"),
                       format_byte_size(image.geometry.piece_length),
                       static_cast<double>(used) / static_cast<double>(std::max<std::int64_t>(packed, 1))) +
           "  info-hash  " + image.info_hash.to_hex() + '\n';
}

image_traits traits_of(packed_image const& image) {
    return {image.description.kind, image.description.content, image.geometry.sector_size};
}

std::vector<bad_extent> find_bad_extents(packed_image const& image, std::vector<std::size_t> const& differing,
                                         chunk_placement const& placement) {
    std::vector<bad_extent> bad;
    auto const chunks = image.index.chunks();
    for (auto const number : differing) {
        auto const& chunk = chunks[number];
        auto const offset = placement.of(chunk).value();
        auto const piece = image.index.piece_of(number);
        if (!bad.empty() && bad.back().offset + bad.back().length == offset) {
            bad.back().length += chunk.raw_length;
            bad.back().last_piece = piece;
        } else {
            bad.push_back({offset, chunk.raw_length, piece, piece});
        }
    }
    return bad;
}

grown_comparison take_out_grown(packed_image const& image, partition_entry const& partition, std::int64_t by,
                                packed_comparison& found) {
    grown_comparison grown{partition.number, describe(partition), by};
    auto const within = [&](packed_chunk const& chunk) {
        return chunk.offset.value() >= partition.start && chunk.offset.value() < partition.end();
    };
    auto const chunks = image.index.chunks();
    for (auto const& chunk : chunks) {
        if (within(chunk)) {
            ++grown.chunks;
            grown.bytes += chunk.raw_length;
        }
    }
    grown.differing = std::erase_if(found.differing, [&](std::size_t number) { return within(chunks[number]); });
    return grown;
}

std::string packed_verify_json(std::string const& device, packed_image const& image,
                               packed_verification const& result) {
    auto const& found = result.found;
    auto list = json::array();
    for (auto const& extent : find_bad_extents(image, found.differing, result.placement)) {
        list.push_back({{"offset", extent.offset},
                        {"length", extent.length},
                        {"first_piece", extent.first_piece.value()},
                        {"last_piece", extent.last_piece.value()}});
    }
    json grown;
    if (result.grown) {
        grown = {{"partition", result.grown->number},
                 {"grown_by", result.grown->by},
                 {"chunks", result.grown->chunks},
                 {"differing_chunks", result.grown->differing}};
    }
    json const document{{"format", packed_verify_format},
                        {"device", device},
                        {"name", image.name},
                        {"info_hash", image.info_hash.to_hex()},
                        {"bytes", image.description.used.value()},
                        {"chunks", image.index.chunks().size()},
                        {"equal", found.ok()},
                        {"complete", !found.read_failed && !found.cancelled},
                        {"bad_chunks", found.differing.size()},
                        {"bad_extents", list},
                        {"grown", grown},
                        {"error", found.read_failed ? json(found.read_failed->message()) : json()},
                        {"seconds", result.seconds}};
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string packed_verify_text(std::string const& device, packed_image const& image,
                               packed_verification const& result) {
    auto const& [found, placement, grown, seconds] = result;
    auto const name = printable(device);
    auto const bytes = image.description.used.value() - (grown ? grown->bytes : 0);
    std::string text;
    auto const bad = find_bad_extents(image, found.differing, placement);
    if (found.ok()) {
        text = fmt::format("{}: equal: {} in {} ({})\n", name, format_byte_size(bytes), format_duration(seconds),
                           format_rate(bytes, seconds));
    } else if (!bad.empty()) {
        text = fmt::format("{}: {} of {} chunks differ: {} in {}\n", name, found.differing.size(),
                           image.index.chunks().size(), format_byte_size(length_of(bad)),
                           format_count(bad.size(), "extent"));
    }
    for (std::size_t i = 0; i < std::min(bad.size(), most_listed_chunks); ++i) {
        text += fmt::format("offset {}, length {}\n", bad[i].offset, bad[i].length);
    }
    if (bad.size() > most_listed_chunks) {
        text += fmt::format("and {} more; --json lists all\n", bad.size() - most_listed_chunks);
    }
    if (grown && !found.read_failed && !found.cancelled) {
        text += fmt::format("{}: {} has grown by {}, which changes its file system: {} of its {} chunks differ, and "
                            "are not counted\n",
                            name, grown->partition, format_byte_size(grown->by), grown->differing, grown->chunks);
    }
    return text;
}

} // namespace seedbed
