#include "core/device/disk_rule.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <system_error>
#include <utility>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

std::string lower_case(std::string_view text) {
    std::string lower(text);
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    return lower;
}

/// A size of a range: decimal units as printed on disks, or what parse_byte_size() accepts.
std::optional<std::int64_t> parse_disk_size(std::string_view text) {
    constexpr std::array<std::pair<char, std::int64_t>, 4> units{
        {{'K', 1'000}, {'M', 1'000'000}, {'G', 1'000'000'000}, {'T', 1'000'000'000'000}}};
    auto const* const unit = text.empty()
                                 ? units.end()
                                 : std::ranges::find(units, text.back(), [](auto const& entry) { return entry.first; });
    if (unit == units.end()) {
        auto const size = parse_byte_size(text);
        return size ? std::optional(*size) : std::nullopt;
    }
    text.remove_suffix(1);
    std::int64_t number = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{} || end != text.data() + text.size() || number < 0 ||
        number > std::numeric_limits<std::int64_t>::max() / unit->second) {
        return std::nullopt;
    }
    return number * unit->second;
}

/// Parses "200G..600G" with either end missing.
bool take_range(std::string_view term, disk_rule& into) {
    auto const dots = term.find("..");
    if (dots == std::string_view::npos || term.size() == 2) {
        return false;
    }
    auto const first = term.substr(0, dots);
    auto const last = term.substr(dots + 2);
    auto const least = first.empty() ? std::optional(into.least) : parse_disk_size(first);
    auto const most = last.empty() ? std::optional(into.most) : parse_disk_size(last);
    if (!least || !most || *least > *most) {
        return false;
    }
    into.least = *least;
    into.most = *most;
    return true;
}

/// Parses "serial=TEXT" and the like.
bool take_text(std::string_view term, disk_rule& into) {
    // It stores what it finds. NOLINTNEXTLINE(readability-use-anyofallof)
    for (auto const& [key, member] :
         {std::pair{"serial=", &disk_rule::serial}, {"wwn=", &disk_rule::wwn}, {"model=", &disk_rule::model}}) {
        auto const start = std::string_view(key);
        if (term.starts_with(start) && term.size() > start.size()) {
            into.*member = std::string(term.substr(start.size()));
            return true;
        }
    }
    return false;
}

bool take_term(std::string_view term, disk_rule& into) {
    if (term == "auto") {
        return true;
    }
    if (term == "largest") {
        into.largest = true;
        return true;
    }
    if (term == "nvme") {
        into.nvme = true;
        return true;
    }
    if (term == "ssd") {
        into.flash = true;
        return true;
    }
    if (term == "hdd") {
        into.cls = storage_class::hdd;
        return true;
    }
    return take_range(term, into) || take_text(term, into);
}

bool any_serial_is(disk_facts const& disk, std::string const& serial) {
    return std::ranges::find(disk.serials, serial) != disk.serials.end();
}

/// Why the disk does not meet the conditions of the rule, except "largest"; nothing if it does.
std::optional<std::string> why_no_match(disk_rule const& rule, disk_facts const& disk) {
    if (!rule.serial.empty() && !any_serial_is(disk, rule.serial)) {
        return disk.serials.empty() ? "reports no serial number" : "has the serial number " + disk.serials.front();
    }
    if (!rule.wwn.empty() && lower_case(rule.wwn) != lower_case(disk.wwn)) {
        return disk.wwn.empty() ? "reports no WWN" : "has the WWN " + disk.wwn;
    }
    if (!rule.model.empty() && lower_case(disk.model).find(lower_case(rule.model)) == std::string::npos) {
        return disk.model.empty() ? "reports no model" : "is a " + disk.model;
    }
    if (rule.nvme && !disk.transport.starts_with("nvme")) {
        return "is connected not by NVMe but by " + disk.transport;
    }
    if ((rule.flash && disk.cls == storage_class::hdd) || (rule.cls && *rule.cls != disk.cls)) {
        return std::string("is of class ") + display_name(disk.cls);
    }
    if (disk.size < rule.least || disk.size > rule.most) {
        return "has " + format_byte_size(disk.size);
    }
    if (disk.external && rule.serial.empty() && rule.wwn.empty()) {
        return "is external (" + disk.transport + ")";
    }
    return std::nullopt;
}

std::optional<std::string> why_not(disk_rule const& rule, disk_facts const& disk, disk_fit const& why_unfit) {
    if (auto why = why_no_match(rule, disk)) {
        return why;
    }
    if (!disk.used.empty()) {
        return disk.used;
    }
    if (disk.read_only) {
        return "is read-only";
    }
    return why_unfit(disk);
}

error none_matches(disk_rule const& rule, std::vector<std::string> const& reasons) {
    auto text = "no disk matches \"" + rule.text + "\"";
    if (reasons.empty()) {
        return {text + ": this machine has no disks"};
    }
    for (char const* separator = ": "; auto const& reason : reasons) {
        text += std::exchange(separator, "; ") + reason;
    }
    return {printable(text)};
}

error several_match(disk_rule const& rule, std::vector<disk_facts const*> const& disks) {
    auto text = format_count(disks.size(), "disk") + " match \"" + rule.text + "\"";
    for (char const* separator = ": "; auto const* disk : disks) {
        text += std::exchange(separator, ", ") + describe(*disk);
    }
    return {printable(text) + "; name one of them"};
}

} // namespace

result<disk_rule> parse_disk_rule(std::string_view text) {
    disk_rule rule;
    rule.text = std::string(text);
    if (text.starts_with('/')) {
        rule.path = rule.text;
        return rule;
    }
    for (auto rest = text;;) {
        auto const comma = rest.find(',');
        auto const term = trimmed(rest.substr(0, comma));
        if (!take_term(term, rule)) {
            return tl::unexpected(error{"'" + term +
                                        "' is not a disk rule: expected a path, auto, largest, nvme, ssd, hdd, a "
                                        "range of sizes such as 200G..600G, serial=TEXT, wwn=TEXT or model=TEXT"});
        }
        if (comma == std::string_view::npos) {
            return rule;
        }
        rest.remove_prefix(comma + 1);
    }
}

disk_fit at_least(std::int64_t bytes) {
    return [bytes](disk_facts const& disk) -> std::optional<std::string> {
        if (disk.size >= bytes) {
            return std::nullopt;
        }
        return "has " + format_byte_size(disk.size) + ", the image needs " + format_byte_size(bytes);
    };
}

result<std::string> choose_disk(disk_rule const& rule, std::span<disk_facts const> disks, disk_fit const& why_unfit) {
    if (!rule.path.empty()) {
        return rule.path;
    }
    std::vector<disk_facts const*> found;
    std::vector<std::string> reasons;
    for (auto const& disk : disks) {
        if (auto const why = why_not(rule, disk, why_unfit)) {
            reasons.push_back(disk.path + " " + *why);
        } else {
            found.push_back(&disk);
        }
    }
    if (found.empty()) {
        return tl::unexpected(none_matches(rule, reasons));
    }
    if (rule.largest) {
        auto const most = (*std::ranges::max_element(found, {}, &disk_facts::size))->size;
        std::erase_if(found, [most](auto const* disk) { return disk->size < most; });
    }
    if (found.size() > 1) {
        return tl::unexpected(several_match(rule, found));
    }
    return found.front()->path;
}

std::string describe(disk_facts const& disk) {
    auto text = disk.model;
    auto const add = [&text](std::string const& part) { text += (text.empty() ? "" : ", ") + part; };
    if (!disk.serials.empty()) {
        add("serial " + disk.serials.front());
    }
    add(display_name(disk.cls));
    add(format_byte_size(disk.size));
    return printable(disk.path + " (" + text + ")");
}

} // namespace seedbed
