#include "core/image/packed_image.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/span.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/foundation/format_count.hpp"
#include "core/image/input_file.hpp"
#include "core/image/libtorrent_build.hpp"
#include "core/image/packed_piece.hpp"

namespace seedbed {

namespace {

/// The key of the index in the .torrent, outside the info dictionary.
constexpr std::string_view index_key = "seedbed index";
/// A .torrent of a packed image holds few and flat values: long ones are strings.
constexpr int torrent_depth = 16;
constexpr int torrent_tokens = 100'000;

tl::unexpected<error> refuse_packed(std::string reason) {
    return tl::unexpected(error{std::move(reason)});
}

lt::string_view key_of(std::string_view key) {
    return {key.data(), key.size()};
}

lt::bdecode_node decode_torrent(std::string_view bytes) {
    lt::error_code ec;
    auto root = lt::bdecode({bytes.data(), static_cast<std::ptrdiff_t>(bytes.size())}, ec, nullptr, torrent_depth,
                            torrent_tokens);
    return ec || root.type() != lt::bdecode_node::dict_t ? lt::bdecode_node() : root;
}

/// Empty if there is none.
lt::bdecode_node description_in(lt::bdecode_node const& root) {
    auto const info = root ? root.dict_find_dict("info") : lt::bdecode_node();
    return info ? info.dict_find_dict(key_of(packed_key)) : lt::bdecode_node();
}

sha256_digest sha256_of(std::string_view bytes) {
    auto const hash = lt::hasher256(bytes.data(), static_cast<int>(bytes.size())).final();
    sha256_digest digest{};
    std::copy_n(hash.data(), digest.size(), digest.begin());
    return digest;
}

result<std::shared_ptr<lt::torrent_info>> torrent_in(lt::bdecode_node const& root, packed_image_limits const& limits) {
    lt::load_torrent_limits libtorrent_limits;
    libtorrent_limits.max_buffer_size = std::numeric_limits<int>::max();
    libtorrent_limits.max_pieces = limits.pieces;
    std::shared_ptr<lt::torrent_info> info;
    try {
        info = std::make_shared<lt::torrent_info>(root, libtorrent_limits);
    } catch (lt::system_error const& e) {
        return refuse_packed("not a usable torrent: " + e.code().message());
    }
    if (!info->info_hashes().has_v1() || info->info_hashes().has_v2()) {
        return refuse_packed("the torrent of a packed image must be v1 only");
    }
    auto const& files = info->orig_files();
    if (files.num_files() != 1 || !std::string_view(info->name()).ends_with(packed_suffix)) {
        return refuse_packed("the torrent of a packed image has one file, whose name ends in " +
                             std::string(packed_suffix));
    }
    return info;
}

result<packed_index> index_in(lt::bdecode_node const& root, packed_image const& image,
                              packed_image_limits const& limits) {
    auto const value = root.dict_find_string_value(key_of(index_key));
    std::string_view const bytes(value.data(), value.size());
    if (bytes.empty()) {
        return refuse_packed("its index is missing");
    }
    if (sha256_of(bytes) != image.description.index) {
        return refuse_packed("its index is damaged: the SHA-256 differs");
    }
    auto const pieces = image.layout().piece_count();
    auto index = packed_index::parse(bytes, image.geometry, pieces, limits.chunks);
    if (!index) {
        return refuse_packed("index: " + index.error().message);
    }
    if (index->used() != image.description.used) {
        return refuse_packed("index: its chunks have " + std::to_string(index->used().value()) +
                             " bytes, the description states " + std::to_string(image.description.used.value()));
    }
    piece_index const last{static_cast<std::int32_t>(pieces - 1)};
    auto const size = image.layout().piece_size(last).value();
    if (auto const used = used_bytes(index->chunks_of(last)); used > size) {
        return refuse_packed("index: piece " + std::to_string(last.value()) + ": its chunks take " +
                             std::to_string(used) + " bytes, the piece has " + std::to_string(size));
    }
    return index;
}

result<packed_image> read_packed(std::string const& bytes, packed_image_limits const& limits) {
    if (static_cast<std::int64_t>(bytes.size()) > limits.file_size) {
        return refuse_packed("larger than the limit");
    }
    auto const root = decode_torrent(bytes);
    auto const node = description_in(root);
    if (!node) {
        return refuse_packed("not the torrent of a packed image");
    }
    auto info = torrent_in(root, limits);
    if (!info) {
        return tl::unexpected(info.error());
    }
    auto const section = node.data_section();
    auto description = decode_description({section.data(), static_cast<std::size_t>(section.size())});
    if (!description) {
        return refuse_packed("description: " + description.error().message);
    }
    packed_image image;
    image.name = (*info)->name();
    image.info_hash = to_info_hash((*info)->info_hashes().v1);
    image.packed_size = byte_count{(*info)->total_size()};
    image.geometry = {description->source_size, description->sector_size, (*info)->piece_length()};
    image.description = std::move(*description);
    image.info = std::move(*info);
    if (auto const checked = check_geometry(image.geometry); !checked) {
        return tl::unexpected(checked.error());
    }
    auto index = index_in(root, image, limits);
    if (!index) {
        return tl::unexpected(index.error());
    }
    image.index = std::move(*index);
    return image;
}

} // namespace

sha1_digest packed_image::hash_of(piece_index piece) const {
    sha1_digest digest{};
    std::copy_n(info->hash_for_piece_ptr(lt::piece_index_t{piece.value()}), digest.size(), digest.begin());
    return digest;
}

bool is_packed_torrent(std::string_view bytes) {
    return static_cast<bool>(description_in(decode_torrent(bytes)));
}

result<packed_image> parse_packed_image(std::string const& bytes, std::string const& name,
                                        packed_image_limits const& limits) {
    return read_packed(bytes, limits).map_error([&name](error const& e) { return error{name + ": " + e.message}; });
}

result<packed_image> load_packed_image(std::filesystem::path const& path, packed_image_limits const& limits) {
    auto const bytes = read_input_file(path, limits.file_size);
    if (!bytes) {
        return tl::unexpected(bytes.error());
    }
    return parse_packed_image(*bytes, path.string(), limits);
}

result<std::span<packed_chunk const>> check_piece(packed_image const& image, piece_index number,
                                                  std::span<std::byte const> piece) {
    auto const found = read_piece(piece, number, image.geometry);
    if (!found) {
        return tl::unexpected(found.error());
    }
    auto const expected = image.index.chunks_of(number);
    if (!std::ranges::equal(*found, expected)) {
        return refuse_packed("piece " + std::to_string(number.value()) + ": its chunk table differs from the index");
    }
    return expected;
}

result<torrent_bytes> make_packed_torrent(byte_count size, std::vector<sha1_digest> const& hashes,
                                          packed_description description, packed_index const& index,
                                          torrent_details const& details) {
    if (auto const name = check_image_name(details.name); !name) {
        return tl::unexpected(name.error());
    }
    if (!details.name.ends_with(packed_suffix) || details.name.find('/') != std::string::npos) {
        return refuse_packed("image name '" + details.name + "': expected a file name that ends in " +
                             std::string(packed_suffix));
    }
    if (auto const checked = check_geometry({description.source_size, description.sector_size, details.piece_length});
        !checked) {
        return tl::unexpected(checked.error());
    }
    auto const pieces = block_layout(size, byte_count{details.piece_length}).piece_count();
    if (pieces != static_cast<std::int64_t>(hashes.size()) || pieces != index.piece_count()) {
        return refuse_packed("hashes of " + format_count(hashes.size(), "piece") + " and an index of " +
                             std::to_string(index.piece_count()) + " for " + std::to_string(pieces));
    }
    auto const encoded = index.encode();
    description.index = sha256_of(encoded);
    description.used = index.used();
    auto const text = encode_description(description);
    try {
        lt::file_storage files;
        files.add_file(details.name, size.value());
        auto root = build_torrent(files, hashes, details);
        root["info"][std::string(packed_key)] = lt::entry::preformatted_type(text.begin(), text.end());
        root[std::string(index_key)] = encoded;
        return to_torrent_bytes(root);
    } catch (lt::system_error const& e) {
        return refuse_packed("libtorrent cannot make the torrent: " + e.code().message());
    }
}

} // namespace seedbed
