#include "core/layout/sfdisk_dump.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "core/foundation/hex_number.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_dump = 1 << 20;
constexpr std::int64_t most_sectors = std::int64_t{1} << 50;

std::string_view trimmed(std::string_view text) {
    auto const begin = text.find_first_not_of(" \t");
    return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<std::int64_t> sectors_in(std::string_view text) {
    std::int64_t value = 0;
    auto const* const end = text.data() + text.size();
    auto const [stop, ec] = std::from_chars(text.data(), end, value);
    return ec == std::errc{} && stop == end && value >= 0 && value <= most_sectors ? std::optional(value)
                                                                                   : std::nullopt;
}

std::string in_case(std::string_view text, bool upper) {
    std::string changed(text);
    std::ranges::transform(changed, changed.begin(), [&](char c) {
        return upper && c >= 'a' && c <= 'z'    ? char(c - 'a' + 'A')
               : !upper && c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a')
                                                : c;
    });
    return changed;
}

/// Bit numbers of the attributes' names; nothing for another name.
std::optional<std::uint64_t> attribute_bits(std::string_view text) {
    std::uint64_t bits = 0;
    while (!text.empty()) {
        auto const end = std::min(text.find_first_of(" ,"), text.size());
        auto word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (word.starts_with("GUID:")) {
            word.remove_prefix(5);
        }
        auto const number = sectors_in(word);
        if (number && *number >= 48 && *number < 64) {
            bits |= std::uint64_t{1} << *number;
        } else if (word == "RequiredPartition") {
            bits |= 1;
        } else if (word == "NoBlockIOProtocol") {
            bits |= 2;
        } else if (word == "LegacyBIOSBootable") {
            bits |= 4;
        } else if (!word.empty()) {
            return std::nullopt;
        }
    }
    return bits;
}

/// Undoes sfdisk's \xHH.
std::optional<std::string> unescaped(std::string_view text) {
    std::string plain;
    for (; !text.empty(); text.remove_prefix(1)) {
        if (text.front() == '\\') {
            auto const code = text.size() >= 4 && text[1] == 'x' ? parse_hex_number(text.substr(2, 2)) : std::nullopt;
            if (!code) {
                return std::nullopt;
            }
            plain += static_cast<char>(*code);
            text.remove_prefix(3);
        } else {
            plain += text.front();
        }
    }
    return plain;
}

class dump_parser {
public:
    explicit dump_parser(std::string const& name)
        : m_name(name) {}

    result<void> take_line(std::string_view line) {
        ++m_line;
        line = trimmed(line);
        if (line.empty() || line.front() == '#') {
            return {};
        }
        auto const colon = line.find(line.front() == '/' ? " : " : ":");
        if (colon == std::string_view::npos) {
            return refuse("expected 'NAME: VALUE', or a partition");
        }
        auto const key = trimmed(line.substr(0, colon));
        auto const value = trimmed(line.substr(colon + (line.front() == '/' ? 3 : 1)));
        if (key.front() == '/') {
            return take_partition(key, value);
        }
        return m_headers.emplace(key, value).second ? result<void>() : refuse("a second " + std::string(key));
    }

    result<disk_layout> finish(std::int64_t disk_size) {
        auto layout = take_headers();
        if (!layout) {
            return layout;
        }
        std::int64_t end = layout->first_usable + layout->sector_size;
        for (auto& [number, fields] : m_partitions) {
            m_line = fields.line;
            auto partition = make_partition(*layout, number, fields);
            if (!partition) {
                return tl::unexpected(partition.error());
            }
            if (*partition) {
                end = std::max(end, (*partition)->end());
                layout->partitions.push_back(std::move(**partition));
            }
        }
        if (auto const last = header_number("last-lba"); last && layout->table == table_type::gpt) {
            end = std::max(end, (*last + 1) * layout->sector_size);
        }
        layout->disk_size = disk_size != 0 ? disk_size
                            : layout->table == table_type::gpt
                                ? end + backup_table_size(layout->entries, layout->sector_size)
                                : end;
        if (auto const valid = check_layout(*layout); !valid) {
            return tl::unexpected(error{m_name + ": " + valid.error().message});
        }
        return layout;
    }

private:
    struct entry {
        std::int64_t line = 0;
        std::map<std::string, std::string, std::less<>> fields;
    };

    [[nodiscard]] tl::unexpected<error> refuse(std::string const& reason) const {
        return tl::unexpected(error{m_name + ":" + std::to_string(m_line) + ": " + reason});
    }

    [[nodiscard]] std::string header(std::string_view key) const {
        auto const found = m_headers.find(key);
        return found == m_headers.end() ? "" : found->second;
    }
    [[nodiscard]] std::optional<std::int64_t> header_number(std::string_view key) const {
        return sectors_in(header(key));
    }

    [[nodiscard]] result<disk_layout> take_headers() const {
        disk_layout layout;
        auto const label = header("label");
        if (label != "gpt" && label != "dos") {
            return tl::unexpected(error{m_name + ": its label is neither gpt nor dos"});
        }
        if (auto const unit = header("unit"); unit != "sectors") {
            return tl::unexpected(error{m_name + ": its unit is not sectors"});
        }
        layout.table = label == "gpt" ? table_type::gpt : table_type::mbr;
        auto const id = header("label-id");
        layout.id = label == "gpt" ? in_case(id, true)
                                   : in_case(std::string_view(id).substr(id.starts_with("0x") ? 2 : 0), false);
        layout.sector_size = static_cast<std::int32_t>(std::min<std::int64_t>(
            m_headers.contains("sector-size") ? header_number("sector-size").value_or(1) : 512, 1 << 16));
        if (!is_disk_sector(layout.sector_size)) {
            return tl::unexpected(error{m_name + ": its sector-size is not 512, 1024, 2048 or 4096"});
        }
        if (layout.table == table_type::gpt) {
            layout.entries = static_cast<std::int32_t>(std::min<std::int64_t>(
                m_headers.contains("table-length") ? header_number("table-length").value_or(0) : 128, 1 << 16));
            layout.first_usable = header_number("first-lba").value_or(0) * layout.sector_size;
        }
        return layout;
    }

    result<void> take_partition(std::string_view node, std::string_view rest) {
        auto const device = header("device");
        auto digits = device.empty() || !node.starts_with(device) ? std::string_view() : node.substr(device.size());
        if (digits.starts_with('p')) {
            digits.remove_prefix(1);
        }
        auto const number = sectors_in(digits);
        if (!number || *number < 1 || *number > most_table_entries) {
            return refuse("the partition's name is not the device's and a number");
        }
        entry found{m_line, {}};
        while (!rest.empty()) {
            auto end = rest.find(',');
            if (auto const quote = rest.find('"'); quote < end) { // sfdisk escapes quotes within
                auto const closing = rest.find('"', quote + 1);
                end = closing == std::string_view::npos ? closing : rest.find(',', closing);
            }
            auto const field = trimmed(rest.substr(0, end));
            rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
            auto const equals = field.find('=');
            auto value = equals == std::string_view::npos ? "" : trimmed(field.substr(equals + 1));
            if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
                value = value.substr(1, value.size() - 2);
            }
            if (!found.fields.emplace(trimmed(field.substr(0, equals)), value).second) {
                return refuse("a field occurs twice");
            }
        }
        return m_partitions.emplace(static_cast<int>(*number), std::move(found)).second
                   ? result<void>()
                   : refuse("a second partition " + std::to_string(*number));
    }

    /// Nothing for an unused entry of an old dump.
    [[nodiscard]] result<std::optional<partition_entry>> make_partition(disk_layout const& layout, int number,
                                                                        entry const& from) const {
        partition_entry made;
        made.number = number;
        bool const gpt = layout.table == table_type::gpt;
        for (auto const& [key, value] : from.fields) {
            if (key == "start" || key == "size") {
                auto const sectors = sectors_in(value);
                if (!sectors) {
                    return refuse(key + " is not a number of sectors");
                }
                (key == "start" ? made.start : made.size) = *sectors * layout.sector_size;
            } else if (key == "type" || key == "Id") {
                made.type = gpt ? in_case(value, true) : (value.size() == 1 ? "0" : "") + in_case(value, false);
            } else if (key == "uuid") {
                made.uuid = in_case(value, true);
            } else if (key == "name" && unescaped(value)) {
                made.name = *unescaped(value);
            } else if (key == "attrs" && attribute_bits(value)) {
                made.attributes = *attribute_bits(value);
            } else if (key == "bootable" && value.empty()) {
                made.bootable = true;
            } else {
                return refuse("an unknown or malformed field");
            }
        }
        if (made.size == 0) {
            return std::nullopt;
        }
        made.role = gpt                           ? partition_role::primary
                    : is_extended_type(made.type) ? partition_role::extended
                    : number > 4                  ? partition_role::logical
                                                  : partition_role::primary;
        if (made.role != partition_role::extended) {
            made.content.minimal_size = made.content.used = made.size;
        }
        return made;
    }

    std::string const& m_name;
    std::int64_t m_line = 0;
    std::map<std::string, std::string, std::less<>> m_headers;
    std::map<int, entry> m_partitions;
};

} // namespace

result<disk_layout> parse_sfdisk_dump(std::string_view text, std::string const& name, std::int64_t disk_size) {
    if (text.size() > longest_dump) {
        return tl::unexpected(error{name + ": more than 1 MiB"});
    }
    dump_parser parser(name);
    while (!text.empty()) {
        auto const end = std::min(text.find('\n'), text.size());
        if (auto const taken = parser.take_line(text.substr(0, end)); !taken) {
            return tl::unexpected(taken.error());
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return parser.finish(disk_size);
}

} // namespace seedbed
