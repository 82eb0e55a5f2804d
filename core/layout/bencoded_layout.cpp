#include <algorithm>
#include <array>
#include <cstdio>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <utility>

#include <libtorrent/bdecode.hpp>
#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>

#include "core/foundation/hex_number.hpp"
#include "core/foundation/printable.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t format_version = 1;
/// Dictionary, list of partitions, partition, its content.
constexpr int deepest = 4;
/// Tokens of most_table_entries partitions, each with at most 16 keys and values.
constexpr int most_tokens = most_table_entries * 40 + 100;
constexpr std::size_t attribute_digits = 16;

constexpr std::array<std::pair<partition_role, std::string_view>, 3> roles{{{partition_role::primary, "primary"},
                                                                            {partition_role::extended, "extended"},
                                                                            {partition_role::logical, "logical"}}};

std::string attributes_text(std::uint64_t attributes) {
    std::array<char, attribute_digits + 1> text{};
    static_cast<void>(std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(attributes)));
    return text.data();
}

/// Omits the key if the text is empty.
void put(lt::entry::dictionary_type& into, char const* key, std::string const& text) {
    if (!text.empty()) {
        into[key] = text;
    }
}

/// Omits the key if the number is 0.
void put(lt::entry::dictionary_type& into, char const* key, std::int64_t number) {
    if (number != 0) {
        into[key] = number;
    }
}

lt::entry to_entry(partition_content const& content) {
    lt::entry::dictionary_type dict;
    put(dict, "type", content.type);
    put(dict, "label", content.label);
    put(dict, "uuid", content.uuid);
    put(dict, "minimal size", content.minimal_size);
    put(dict, "used", content.used);
    put(dict, "swap page", content.swap_page);
    return dict;
}

lt::entry to_entry(partition_entry const& partition, table_type table) {
    lt::entry::dictionary_type dict;
    put(dict, "number", partition.number);
    put(dict, "start", partition.start);
    put(dict, "size", partition.size);
    put(dict, "type", partition.type);
    put(dict, "uuid", partition.uuid);
    put(dict, "name", partition.name);
    if (partition.attributes != 0) {
        put(dict, "attributes", attributes_text(partition.attributes));
    }
    put(dict, "bootable", partition.bootable ? 1 : 0);
    if (table == table_type::mbr) {
        dict["role"] = std::string(roles.at(static_cast<std::size_t>(partition.role)).second);
    }
    if (partition.content != partition_content{}) {
        dict["content"] = to_entry(partition.content);
    }
    return dict;
}

/// Takes the values of one dictionary and remembers the first reason to refuse it.
class fields {
public:
    fields(lt::bdecode_node node, std::string what)
        : m_node(std::move(node))
        , m_what(std::move(what)) {
        if (m_node.type() != lt::bdecode_node::dict_t) {
            refuse("is not a dictionary");
        }
    }

    std::string text(char const* key) {
        auto const found = find(key, lt::bdecode_node::string_t, "text");
        return found ? std::string(found.string_value()) : std::string();
    }

    template <class Number>
    void number(char const* key, Number& into) {
        auto const found = find(key, lt::bdecode_node::int_t, "a number");
        if (!found) {
            return;
        }
        auto const value = found.int_value();
        if (value <= 0 || value > std::numeric_limits<Number>::max()) {
            refuse(std::string("has '") + key + "' outside its range");
            return;
        }
        into = static_cast<Number>(value);
    }

    lt::bdecode_node child(char const* key, lt::bdecode_node::type_t type) {
        return find(key, type, type == lt::bdecode_node::list_t ? "a list" : "a dictionary");
    }

    void refuse(std::string const& reason) {
        if (!m_refused) {
            m_refused = error{"disk layout: " + m_what + " " + reason};
        }
    }

    /// Refuses unknown keys. \return the first reason of all.
    std::optional<error> end() {
        for (int i = 0; !m_refused && i < m_node.dict_size(); ++i) {
            auto const key = m_node.dict_at(i).first;
            if (std::ranges::find(m_known, std::string_view(key.data(), key.size())) == m_known.end()) {
                refuse("has an unknown key '" + printable({key.data(), key.size()}) + "'");
            }
        }
        return m_refused;
    }

private:
    lt::bdecode_node find(char const* key, lt::bdecode_node::type_t type, char const* type_name) {
        m_known.emplace_back(key);
        if (m_refused) {
            return {};
        }
        auto found = m_node.dict_find(key);
        if (found && found.type() != type) {
            refuse(std::string("has '") + key + "' that is not " + type_name);
            return {};
        }
        return found;
    }

    lt::bdecode_node m_node;
    std::string m_what;
    std::vector<std::string_view> m_known;
    std::optional<error> m_refused;
};

result<partition_content> parse_content(lt::bdecode_node const& node, std::string const& what) {
    fields dict(node, what);
    partition_content content;
    content.type = dict.text("type");
    content.label = dict.text("label");
    content.uuid = dict.text("uuid");
    dict.number("minimal size", content.minimal_size);
    dict.number("used", content.used);
    dict.number("swap page", content.swap_page);
    if (auto const refused = dict.end()) {
        return tl::unexpected(*refused);
    }
    return content;
}

void parse_role(fields& dict, partition_entry& partition) {
    auto const text = dict.text("role");
    auto const* const found = std::ranges::find(roles, text, &decltype(roles)::value_type::second);
    if (found != roles.end()) {
        partition.role = found->first;
    } else if (!text.empty()) {
        dict.refuse("has an unknown role");
    }
}

void parse_attributes(fields& dict, partition_entry& partition) {
    auto const text = dict.text("attributes");
    if (text.empty()) {
        return;
    }
    // 64 bits in two halves: parse_hex_number() takes 63.
    auto const high = parse_hex_number(std::string_view(text).substr(0, attribute_digits / 2));
    auto const low = text.size() == attribute_digits ? parse_hex_number(std::string_view(text).substr(8))
                                                     : std::optional<std::int64_t>();
    if (!high || !low) {
        dict.refuse("has attributes that are not 16 hex digits");
        return;
    }
    partition.attributes = static_cast<std::uint64_t>(*high) << 32 | static_cast<std::uint64_t>(*low);
}

result<partition_entry> parse_partition(lt::bdecode_node const& node, int position) {
    auto const what = "entry " + std::to_string(position) + " of the partitions";
    fields dict(node, what);
    partition_entry partition;
    dict.number("number", partition.number);
    dict.number("start", partition.start);
    dict.number("size", partition.size);
    partition.type = dict.text("type");
    partition.uuid = dict.text("uuid");
    partition.name = dict.text("name");
    parse_attributes(dict, partition);
    int bootable = 0;
    dict.number("bootable", bootable);
    partition.bootable = bootable == 1;
    parse_role(dict, partition);
    auto const content = dict.child("content", lt::bdecode_node::dict_t);
    if (auto const refused = dict.end()) {
        return tl::unexpected(*refused);
    }
    if (content) {
        auto parsed = parse_content(content, "the content in " + what);
        if (!parsed) {
            return tl::unexpected(std::move(parsed.error()));
        }
        partition.content = std::move(*parsed);
    }
    return partition;
}

result<disk_layout> parse_fields(lt::bdecode_node const& root) {
    fields dict(root, "the dictionary");
    disk_layout layout;
    std::int64_t version = 0;
    dict.number("version", version);
    if (version != format_version) {
        dict.refuse("has version " + std::to_string(version) + ", and this program reads version 1");
    }
    auto const table = dict.text("table");
    if (table != "gpt" && table != "mbr") {
        dict.refuse("has an unknown type of partition table");
    }
    layout.table = table == "gpt" ? table_type::gpt : table_type::mbr;
    layout.id = dict.text("id");
    dict.number("sector size", layout.sector_size);
    dict.number("disk size", layout.disk_size);
    dict.number("entries", layout.entries);
    dict.number("first usable", layout.first_usable);
    layout.boot_code = dict.text("boot code");
    dict.number("gap start", layout.gap_start);
    dict.number("gap size", layout.gap_size);
    auto const partitions = dict.child("partitions", lt::bdecode_node::list_t);
    if (auto const refused = dict.end()) {
        return tl::unexpected(*refused);
    }
    for (int i = 0; partitions && i < partitions.list_size(); ++i) {
        auto partition = parse_partition(partitions.list_at(i), i + 1);
        if (!partition) {
            return tl::unexpected(std::move(partition.error()));
        }
        layout.partitions.push_back(std::move(*partition));
    }
    return layout;
}

} // namespace

std::string to_bencode(disk_layout const& layout) {
    lt::entry::dictionary_type dict;
    dict["version"] = format_version;
    dict["table"] = std::string(layout.table == table_type::gpt ? "gpt" : "mbr");
    put(dict, "id", layout.id);
    put(dict, "sector size", layout.sector_size);
    put(dict, "disk size", layout.disk_size);
    put(dict, "entries", layout.entries);
    put(dict, "first usable", layout.first_usable);
    put(dict, "boot code", layout.boot_code);
    put(dict, "gap start", layout.gap_start);
    put(dict, "gap size", layout.gap_size);
    lt::entry::list_type partitions;
    for (auto const& partition : layout.partitions) {
        partitions.push_back(to_entry(partition, layout.table));
    }
    dict["partitions"] = partitions;
    std::string bytes;
    lt::bencode(std::back_inserter(bytes), dict);
    return bytes;
}

result<disk_layout> parse_disk_layout(std::string_view bencoded) {
    if (bencoded.size() > longest_layout) {
        return tl::unexpected(error{"disk layout: more than 2 MiB"});
    }
    lt::error_code ec;
    auto const root = lt::bdecode({bencoded.data(), static_cast<std::ptrdiff_t>(bencoded.size())}, ec, nullptr,
                                  deepest + 1, most_tokens);
    if (ec) {
        return tl::unexpected(error{"disk layout: not a bencoded dictionary: " + ec.message()});
    }
    auto layout = parse_fields(root);
    if (!layout) {
        return layout;
    }
    if (auto const valid = check_layout(*layout); !valid) {
        return tl::unexpected(error{"disk layout: " + valid.error().message});
    }
    if (to_bencode(*layout) != bencoded) {
        return tl::unexpected(error{"disk layout: its keys or values are malformed or out of order"});
    }
    return layout;
}

} // namespace seedbed
