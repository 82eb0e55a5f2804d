#include "daemon/image/checkpoint.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <libtorrent/hasher.hpp>
#include <nlohmann/json.hpp>

#include "core/foundation/hex_number.hpp"
#include "daemon/text/json_number.hpp"

namespace seedbed {

namespace {

using nlohmann::json;

constexpr int version = 1;
constexpr std::int64_t last_time = 253'402'300'799; ///< the end of the year 9999, in seconds since 1970
constexpr char const* missing_key = "damaged: a key is missing or has the wrong type";

/// One hex digit per four pieces, the first piece in the highest bit.
std::string format_pieces(std::vector<bool> const& pieces) {
    std::string text((pieces.size() + 3) / 4, '0');
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned digit = 0;
        for (std::size_t bit = 0; bit < 4; ++bit) {
            auto const at = 4 * i + bit;
            digit = digit << 1 | static_cast<unsigned>(at < pieces.size() && pieces[at]);
        }
        text[i] = "0123456789abcdef"[digit];
    }
    return text;
}

std::optional<std::vector<bool>> parse_pieces(std::string const& text, std::size_t count) {
    if (count > 4 * largest_checkpoint || text.size() != (count + 3) / 4 || (count > 0 && !is_hex(text))) {
        return std::nullopt;
    }
    std::vector<bool> pieces(count);
    for (std::size_t at = 0; at < count; ++at) {
        auto const digit = static_cast<unsigned>(*parse_hex_number(std::string_view(text).substr(at / 4, 1)));
        pieces[at] = (digit >> (3 - at % 4) & 1) != 0;
    }
    return pieces;
}

json to_json(device_identity const& device) {
    return {{"block_device", device.block_device},
            {"size", device.size},
            {"serials", device.serials},
            {"start", device.start},
            {"disk_sequence", device.disk_sequence},
            {"boot", device.boot},
            {"sectors_written", device.sectors_written},
            {"disk_sectors_written", device.disk_sectors_written},
            {"file_system", device.file_system},
            {"inode", device.inode},
            {"born", device.born},
            {"changed", device.changed}};
}

/// Throws json::exception.
device_identity to_identity(json const& from) {
    device_identity device;
    read_json(from.at("block_device"), device.block_device);
    read_json(from.at("size"), device.size);
    read_json(from.at("serials"), device.serials);
    read_json(from.at("start"), device.start);
    read_json(from.at("disk_sequence"), device.disk_sequence);
    read_json(from.at("boot"), device.boot);
    read_json(from.at("sectors_written"), device.sectors_written);
    if (auto const found = from.find("disk_sectors_written"); found != from.end()) { // earlier versions lack it
        read_json(*found, device.disk_sectors_written);
    }
    read_json(from.at("file_system"), device.file_system);
    read_json(from.at("inode"), device.inode);
    read_json(from.at("born"), device.born);
    read_json(from.at("changed"), device.changed);
    return device;
}

/// Does not throw if bytes are not UTF-8, as may happen in a path.
std::string dump(json const& what) {
    return what.dump(1, ' ', true, json::error_handler_t::replace);
}

std::string checksum_of(json const& document) {
    return sha1_text(dump(document)); // keys are sorted: the same content gives the same text
}

} // namespace

std::string sha1_text(std::string const& text) {
    auto const hash = libtorrent::hasher(text.data(), static_cast<int>(text.size())).final();
    return to_hex({hash.data(), static_cast<std::size_t>(hash.size())});
}

bool checkpoint::complete() const {
    return !pieces.empty() && std::ranges::find(pieces, false) == pieces.end();
}

result<void, io_error> flush_then_save(std::function<result<void, io_error>()> const& flush,
                                       std::function<void()> const& save) {
    auto flushed = flush();
    if (flushed) {
        save();
    }
    return flushed;
}

std::string format_checkpoint(checkpoint const& what) {
    json document = {{"version", version},
                     {"info_hash", what.info_hash.to_hex()},
                     {"device", what.device},
                     {"identity", to_json(what.identity)},
                     {"piece_count", what.pieces.size()},
                     {"pieces", format_pieces(what.pieces)},
                     {"verified", what.verified},
                     {"at_rest", what.at_rest},
                     {"time", what.time}};
    if (!what.placement.empty()) {
        document["placement"] = what.placement;
    }
    document["checksum"] = checksum_of(document);
    return dump(document) + "\n";
}

result<checkpoint> parse_checkpoint(std::string const& text) {
    auto document = json::parse(text, nullptr, false);
    if (!document.is_object()) {
        return tl::unexpected(error{"damaged: not a JSON object"});
    }
    try {
        auto const written = json_value<int>(document.at("version"));
        if (written != version) {
            return tl::unexpected(
                error{"its version is " + std::to_string(written) + ", expected " + std::to_string(version)});
        }
        auto const checksum = json_value<std::string>(document.at("checksum"));
        document.erase("checksum");
        if (checksum_of(document) != checksum) {
            return tl::unexpected(error{"damaged: wrong checksum"});
        }
        checkpoint found;
        auto const hash = info_hash::from_hex(json_value<std::string>(document.at("info_hash")));
        if (!hash) {
            return tl::unexpected(error{"damaged: its info_hash is not 40 hex digits"});
        }
        found.info_hash = *hash;
        read_json(document.at("device"), found.device);
        found.identity = to_identity(document.at("identity"));
        auto pieces = parse_pieces(json_value<std::string>(document.at("pieces")),
                                   json_value<std::size_t>(document.at("piece_count")));
        if (!pieces) {
            return tl::unexpected(error{"damaged: wrong number of pieces"});
        }
        found.pieces = std::move(*pieces);
        if (document.contains("placement")) {
            read_json(document.at("placement"), found.placement);
        }
        read_json(document.at("verified"), found.verified);
        read_json(document.at("at_rest"), found.at_rest);
        read_json(document.at("time"), found.time);
        if (found.time < 0 || found.time > last_time) {
            return tl::unexpected(error{"damaged: a number is out of range"});
        }
        return found;
    } catch (json::out_of_range const& e) {
        return tl::unexpected(error{e.id == 403 ? missing_key : "damaged: a number is out of range"});
    } catch (json::exception const&) {
        return tl::unexpected(error{missing_key});
    }
}

std::optional<std::string> why_unfit(checkpoint const& found, info_hash const& hash, std::int32_t piece_count,
                                     std::string const& device, device_identity const& present) {
    if (found.info_hash != hash) {
        return "it belongs to torrent " + found.info_hash.to_hex();
    }
    if (found.pieces.size() != static_cast<std::size_t>(piece_count)) {
        return "it has " + std::to_string(found.pieces.size()) + " pieces, the torrent has " +
               std::to_string(piece_count);
    }
    if (found.device != device) {
        return "it belongs to " + found.device;
    }
    if (auto other = why_other_device(found.identity, present)) {
        return "it belongs to another device: " + *other;
    }
    if (found.at_rest && changed_since(found.identity, present) == device_change::written) {
        return "another program has written to the device since";
    }
    return std::nullopt;
}

} // namespace seedbed
