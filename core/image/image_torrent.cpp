#include "core/image/image_torrent.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <libtorrent/error_code.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/sha1_hash.hpp>
#include <libtorrent/span.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/foundation/block_size.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/hex_number.hpp"
#include "core/image/block_layout.hpp"
#include "core/image/image_origin.hpp"
#include "core/image/input_file.hpp"
#include "core/image/libtorrent_hash.hpp"

namespace seedbed {

namespace {

/// libtorrent truncates file names of 240 bytes and more.
constexpr std::size_t max_name_length = 239;

/// Prepares a name for a message: shortened, and without control characters.
std::string quoted(std::string_view name) {
    std::string text = "'" + std::string(name.substr(0, 64)) + (name.size() > 64 ? "...'" : "'");
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
    return text;
}

result<std::int64_t> offset_of_name(std::string_view name) {
    if (name.size() > max_name_length) {
        return tl::unexpected(error{"file name " + quoted(name) + " is too long for an offset"});
    }
    if (!is_hex(name)) {
        return tl::unexpected(error{"file name " + quoted(name) + " is not a device offset in hex"});
    }
    auto const offset = parse_hex_number(name);
    if (!offset) {
        return tl::unexpected(error{"file name " + quoted(name) + " does not fit in 63 bits"});
    }
    return *offset;
}

result<extent_map> extents_of(lt::file_storage const& files) {
    std::vector<extent> extents;
    extents.reserve(static_cast<std::size_t>(files.num_files()));
    for (auto const file : files.file_range()) {
        auto const length = files.file_size(file);
        if (length == 0) {
            continue;
        }
        if (files.pad_file_at(file)) {
            extents.push_back({extent::padding, length});
            continue;
        }
        auto const name = files.file_name(file);
        auto const offset = offset_of_name({name.data(), name.size()});
        if (!offset) {
            return tl::unexpected(offset.error());
        }
        extents.push_back({*offset, length});
    }
    return extent_map::make(std::move(extents));
}

lt::sha256_hash parent_of(lt::sha256_hash const& left, lt::sha256_hash const& right) {
    lt::hasher256 hash;
    hash.update(left.data(), static_cast<int>(lt::sha256_hash::size()));
    hash.update(right.data(), static_cast<int>(lt::sha256_hash::size()));
    return hash.final();
}

/// The root of a file's hash tree, computed from its piece layer (BEP 52); blocks beyond the end of the file are zeros.
/// \param layer 32 bytes per piece.
lt::sha256_hash root_of_layer(lt::span<char const> layer, int piece_length) {
    lt::sha256_hash padding; // of the current level
    for (int blocks = piece_length / block_size; blocks > 1; blocks /= 2) {
        padding = parent_of(padding, padding);
    }
    std::vector<lt::sha256_hash> level;
    level.reserve(static_cast<std::size_t>(layer.size() / lt::sha256_hash::size()) + 1);
    for (auto rest = layer; !rest.empty(); rest = rest.subspan(lt::sha256_hash::size())) {
        level.emplace_back(rest.data());
    }
    while (level.size() > 1) {
        if (level.size() % 2 != 0) {
            level.push_back(padding);
        }
        for (std::size_t i = 0; i < level.size() / 2; ++i) {
            level[i] = parent_of(level[2 * i], level[2 * i + 1]);
        }
        level.resize(level.size() / 2);
        padding = parent_of(padding, padding);
    }
    return level.front();
}

/// Checks the piece hashes of a v2 torrent. libtorrent does so only when it adds the torrent to a session. A .torrent
/// may lack them, as a magnet link does; hashes that do not lead to the root of their file's tree are damaged.
result<void> check_piece_layers(lt::torrent_info const& info) {
    auto const& files = info.orig_files();
    for (auto const file : files.file_range()) {
        if (files.pad_file_at(file) || files.file_size(file) == 0) {
            continue;
        }
        auto const layer = info.piece_layer(file);
        if (layer.empty()) {
            return tl::unexpected(error{"a v2 torrent without piece layers"});
        }
        if (files.file_size(file) <= files.piece_length()) {
            continue; // the root is its only hash
        }
        auto const pieces =
            block_layout(byte_count{files.file_size(file)}, byte_count{files.piece_length()}).piece_count();
        if (layer.size() != pieces * lt::sha256_hash::size() ||
            root_of_layer(layer, files.piece_length()) != files.root(file)) {
            auto const name = files.file_name(file);
            return tl::unexpected(
                error{"a v2 torrent whose piece layer of file " + quoted({name.data(), name.size()}) + " is damaged"});
        }
    }
    return {};
}

/// The parsed file, or libtorrent's error.
result<std::shared_ptr<lt::torrent_info>> parse(std::string const& bytes, torrent_limits const& limits) {
    lt::load_torrent_limits libtorrent_limits;
    libtorrent_limits.max_buffer_size = std::numeric_limits<int>::max();
    libtorrent_limits.max_decode_tokens = limits.tokens;
    libtorrent_limits.max_pieces = limits.pieces;
    try {
        return std::make_shared<lt::torrent_info>(bytes, libtorrent_limits, lt::from_span);
    } catch (lt::system_error const& e) {
        return tl::unexpected(error{"not a usable torrent: " + e.code().message()});
    }
}

result<image_torrent> read(std::string const& bytes, torrent_limits const& limits) {
    if (bytes.empty()) {
        return tl::unexpected(error{"the file is empty"});
    }
    if (bytes.starts_with("magnet:")) {
        return tl::unexpected(error{"a magnet link, which has no metadata"});
    }
    auto info = parse(bytes, limits);
    if (!info) {
        return tl::unexpected(std::move(info.error()));
    }
    auto const& torrent = **info;
    if (!torrent.is_valid()) {
        return tl::unexpected(error{"no metadata, only a magnet link"});
    }
    if (torrent.info_hashes().has_v2()) {
        if (auto const checked = check_piece_layers(torrent); !checked) {
            return tl::unexpected(checked.error());
        }
    }
    // Use the names as they are in the torrent: libtorrent renames duplicates.
    auto extents = extents_of(torrent.orig_files());
    if (!extents) {
        return tl::unexpected(std::move(extents.error()));
    }
    auto const& hashes = torrent.info_hashes();
    auto const hash = hashes.has_v1() ? hashes.v1 : hashes.get_best();
    return image_torrent{torrent.name(),
                         to_info_hash(hash),
                         torrent.piece_length(),
                         torrent.num_pieces(),
                         hashes.has_v1(),
                         std::move(*extents),
                         read_traits(torrent.comment(), torrent.name()),
                         std::move(*info)};
}

/// The view of a packed image that seeds and deployments share with raw ones.
result<image_torrent> to_image_torrent(packed_image image) {
    auto extents = extent_map::make({{0, image.packed_size.value()}});
    if (!extents) {
        return tl::unexpected(std::move(extents.error()));
    }
    auto const& about = image.description;
    image_traits traits{about.kind, about.content, about.sector_size};
    auto const shared = std::make_shared<packed_image const>(std::move(image));
    return image_torrent{shared->name,
                         shared->info_hash,
                         shared->geometry.piece_length,
                         shared->piece_count(),
                         true,
                         std::move(*extents),
                         std::move(traits),
                         shared->info,
                         shared};
}

} // namespace

result<image_torrent> parse_image_torrent(std::string const& bytes, std::string const& name,
                                          torrent_limits const& limits) {
    return read(bytes, limits).map_error([&name](error const& e) { return error{name + ": " + e.message}; });
}

result<image_torrent> load_image_torrent(std::filesystem::path const& path, torrent_limits const& limits) {
    auto const bytes = read_input_file(path, limits.file_size);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    return parse_image_torrent(*bytes, path.string(), limits);
}

std::string size_text(image_torrent const& torrent) {
    auto const size = format_byte_size(torrent.extents.total_size());
    return torrent.packed ? format_byte_size(torrent.packed->index.used().value()) + " packed into " + size
                          : size + " in " + format_count(torrent.extents.extents().size(), "extent");
}

result<image_torrent> parse_any_torrent(std::string const& bytes, std::string const& name,
                                        torrent_limits const& limits) {
    if (!is_packed_torrent(bytes)) {
        return parse_image_torrent(bytes, name, limits);
    }
    packed_image_limits packed_limits;
    packed_limits.file_size = limits.file_size;
    packed_limits.pieces = limits.pieces;
    return parse_packed_image(bytes, name, packed_limits).and_then(to_image_torrent);
}

result<image_torrent> load_any_torrent(std::filesystem::path const& path, torrent_limits const& limits) {
    return read_input_file(path, limits.file_size).and_then([&](std::string const& bytes) {
        return parse_any_torrent(bytes, path.string(), limits);
    });
}

} // namespace seedbed
