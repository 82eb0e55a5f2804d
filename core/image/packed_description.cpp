#include "core/image/packed_description.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/span.hpp>

#include "core/image/packed_chunk.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t description_version = 1;
constexpr std::size_t longest_text = 1024;
constexpr int highest_zstd_level = 19;
constexpr int description_depth = 16;
constexpr int description_tokens = 100'000;

tl::unexpected<error> refuse_description(std::string reason) {
    return tl::unexpected(error{std::move(reason)});
}

std::string quoted_key(std::string_view key) {
    return "\"" + std::string(key) + "\"";
}

result<std::int64_t> positive_at(lt::bdecode_node const& dictionary, std::string_view key) {
    auto const found = dictionary.dict_find_int({key.data(), key.size()});
    if (!found || found.int_value() <= 0) {
        return refuse_description(quoted_key(key) + " is missing, or not a positive number");
    }
    return found.int_value();
}

/// Empty if the key is missing.
result<std::string> text_at(lt::bdecode_node const& dictionary, std::string_view key) {
    auto const value = dictionary.dict_find_string_value({key.data(), key.size()});
    if (value.size() > longest_text) {
        return refuse_description(quoted_key(key) + " has " + std::to_string(value.size()) + " bytes, more than " +
                                  std::to_string(longest_text));
    }
    return std::string(value.data(), value.size());
}

result<image_kind> kind_at(lt::bdecode_node const& dictionary) {
    auto const value = dictionary.dict_find_string_value("kind");
    for (auto const kind : {image_kind::disk, image_kind::partition}) {
        if (std::string_view(value.data(), value.size()) == to_string(kind)) {
            return kind;
        }
    }
    return refuse_description(R"("kind" is missing, or neither "disk" nor "partition")");
}

result<void> read_sizes(lt::bdecode_node const& dictionary, packed_description& to) {
    auto const size = positive_at(dictionary, "size");
    auto const sector = positive_at(dictionary, "sector");
    auto const used = positive_at(dictionary, "used");
    for (auto const* each : {&size, &sector, &used}) {
        if (!*each) {
            return tl::unexpected(each->error());
        }
    }
    if (*used > *size) {
        return refuse_description(quoted_key("used") + " is more than the source's " + std::to_string(*size) +
                                  " bytes");
    }
    to.source_size = byte_count{*size};
    to.used = byte_count{*used};
    to.sector_size = static_cast<std::int32_t>(std::min<std::int64_t>(*sector, packed_limits::largest_piece));
    return check_geometry({to.source_size, to.sector_size, packed_limits::least_piece});
}

result<void> read_level(lt::bdecode_node const& dictionary, packed_description& to) {
    if (auto const found = dictionary.dict_find("level")) {
        auto const level = found.type() == lt::bdecode_node::int_t ? found.int_value() : 0;
        if (level < 1 || level > highest_zstd_level) {
            return refuse_description(quoted_key("level") + " is not a number from 1 to " +
                                      std::to_string(highest_zstd_level));
        }
        to.level = static_cast<int>(level);
    }
    return {};
}

result<void> read_texts(lt::bdecode_node const& dictionary, packed_description& to) {
    for (auto const& [key, into] : {std::pair{"content", &to.content}, {"label", &to.label}, {"uuid", &to.uuid}}) {
        auto text = text_at(dictionary, key);
        if (!text) {
            return tl::unexpected(text.error());
        }
        *into = std::move(*text);
    }
    auto const digest = dictionary.dict_find_string_value("index");
    if (static_cast<std::size_t>(digest.size()) != to.index.size()) {
        return refuse_description(quoted_key("index") + " is missing, or not a SHA-256");
    }
    std::ranges::copy(digest, to.index.begin());
    return {};
}

result<void> read_layout(lt::bdecode_node const& dictionary, packed_description& to) {
    auto const node = dictionary.dict_find("layout");
    if (!node) {
        return {};
    }
    auto const section = node.data_section();
    auto layout = parse_disk_layout({section.data(), static_cast<std::size_t>(section.size())});
    if (!layout) {
        return tl::unexpected(std::move(layout.error()));
    }
    if (to.kind != image_kind::disk) {
        return refuse_description("a partition with a layout");
    }
    if (layout->disk_size != to.source_size.value() || layout->sector_size != to.sector_size) {
        return refuse_description("a layout of a disk of " + std::to_string(layout->disk_size) +
                                  " bytes in sectors of " + std::to_string(layout->sector_size) + " bytes");
    }
    to.layout = std::move(*layout);
    return {};
}

} // namespace

std::string encode_description(packed_description const& description) {
    lt::entry::dictionary_type dictionary;
    dictionary["version"] = description_version;
    dictionary["kind"] = std::string(to_string(description.kind));
    dictionary["size"] = description.source_size.value();
    dictionary["sector"] = std::int64_t{description.sector_size};
    dictionary["used"] = description.used.value();
    dictionary["index"] = std::string(description.index.data(), description.index.size());
    for (auto const& [key, text] :
         {std::pair{"content", &description.content}, {"label", &description.label}, {"uuid", &description.uuid}}) {
        if (!text->empty()) {
            dictionary[key] = text->substr(0, longest_text);
        }
    }
    if (description.level > 0) {
        dictionary["level"] = std::int64_t{description.level};
    }
    if (description.layout) {
        auto const layout = to_bencode(*description.layout);
        dictionary["layout"] = lt::entry::preformatted_type(layout.begin(), layout.end());
    }
    std::string bencoded;
    lt::bencode(std::back_inserter(bencoded), lt::entry(std::move(dictionary)));
    return bencoded;
}

result<packed_description> decode_description(std::string_view bencoded) {
    lt::error_code ec;
    auto const dictionary = lt::bdecode({bencoded.data(), static_cast<std::ptrdiff_t>(bencoded.size())}, ec, nullptr,
                                        description_depth, description_tokens);
    if (ec || dictionary.type() != lt::bdecode_node::dict_t) {
        return refuse_description("not a bencoded dictionary");
    }
    auto const found = positive_at(dictionary, "version");
    if (!found) {
        return tl::unexpected(found.error());
    }
    if (*found != description_version) {
        return refuse_description("has version " + std::to_string(*found) +
                                  " of the format; this program reads version " + std::to_string(description_version));
    }
    packed_description description;
    auto const kind = kind_at(dictionary);
    if (!kind) {
        return tl::unexpected(kind.error());
    }
    description.kind = *kind;
    if (auto const read = read_sizes(dictionary, description); !read) {
        return tl::unexpected(read.error());
    }
    if (auto const read = read_level(dictionary, description); !read) {
        return tl::unexpected(read.error());
    }
    if (auto const read = read_texts(dictionary, description); !read) {
        return tl::unexpected(read.error());
    }
    if (auto const read = read_layout(dictionary, description); !read) {
        return tl::unexpected(read.error());
    }
    return description;
}

} // namespace seedbed
