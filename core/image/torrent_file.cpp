#include "core/image/torrent_file.hpp"

#include <algorithm>
#include <utility>

#include <libtorrent/error_code.hpp>
#include <libtorrent/file_storage.hpp>

#include "core/foundation/format_count.hpp"
#include "core/foundation/hex_number.hpp"
#include "core/image/block_layout.hpp"
#include "core/image/libtorrent_build.hpp"

namespace seedbed {

namespace {

/// libtorrent truncates longer names.
constexpr std::size_t max_component_length = 239;

torrent_bytes make_with_libtorrent(extent_map const& extents, std::vector<sha1_digest> const& hashes,
                                   torrent_details const& details) {
    lt::file_storage files;
    files.reserve(static_cast<int>(extents.extents().size()));
    for (auto const& e : extents.extents()) {
        files.add_file(details.name + "/" + to_hex_offset(e.device_offset), e.length);
    }
    return to_torrent_bytes(build_torrent(files, hashes, details));
}

} // namespace

result<void> check_image_name(std::string_view name) {
    auto const refuse = [&](char const* reason) {
        return tl::unexpected(error{"image name '" + std::string(name) + "' " + reason});
    };
    if (name.empty()) {
        return tl::unexpected(error{"the image name is empty"});
    }
    for (char const c : name) {
        if (c < 0x20 || c > 0x7e) {
            return tl::unexpected(error{"the image name contains a character that is not printable ASCII"});
        }
        if (c == '\\') {
            return refuse("contains a backslash");
        }
    }
    if (name.front() == '/') {
        return refuse("starts with a slash");
    }
    for (std::size_t begin = 0; begin <= name.size();) {
        auto const end = std::min(name.find('/', begin), name.size());
        auto const component = name.substr(begin, end - begin);
        if (component.empty() || component == "." || component == "..") {
            return refuse("contains an empty component, '.' or '..'");
        }
        if (component.size() > max_component_length) {
            return refuse("contains a component of more than 239 bytes");
        }
        begin = end + 1;
    }
    return {};
}

result<torrent_bytes> make_torrent(extent_map const& extents, std::vector<sha1_digest> const& hashes,
                                   torrent_details const& details) {
    if (auto const name = check_image_name(details.name); !name) {
        return tl::unexpected(name.error());
    }
    if (details.piece_length <= 0) {
        return tl::unexpected(error{"a piece length of " + format_count(details.piece_length, "byte")});
    }
    auto const pieces = block_layout(byte_count{extents.total_size()}, byte_count{details.piece_length}).piece_count();
    if (pieces != static_cast<std::int64_t>(hashes.size())) {
        return tl::unexpected(error{std::to_string(hashes.size()) + (hashes.size() == 1 ? " hash" : " hashes") +
                                    " for " + format_count(pieces, "piece")});
    }
    try {
        return make_with_libtorrent(extents, hashes, details);
    } catch (lt::system_error const& e) {
        return tl::unexpected(error{"libtorrent cannot make the torrent: " + e.code().message()});
    }
}

} // namespace seedbed
