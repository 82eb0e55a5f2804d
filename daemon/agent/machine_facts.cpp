#include "daemon/agent/machine_facts.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <system_error>

#include "config/mac_address.hpp"
#include "core/device/sysfs.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

/// ARPHRD_ETHER of if_arp.h: sysfs shows it as the type of Ethernet and of wireless interfaces.
constexpr std::int64_t ethernet = 1;

/// Placeholders that vendors leave in the DMI tables.
bool is_placeholder(std::string text) {
    constexpr std::array<std::string_view, 9> placeholders{"none",          "default string", "system serial number",
                                                           "not specified", "not applicable", "invalid",
                                                           "unknown",       "o.e.m.",         "oem"};
    std::ranges::transform(text, text.begin(),
                           [](char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); });
    return text.starts_with("to be filled") || std::ranges::find(placeholders, text) != placeholders.end() ||
           text.find_first_not_of("0 .-") == std::string::npos || text == "123456789";
}

} // namespace

std::vector<std::string> find_macs(fs::path const& net) {
    std::vector<std::string> cards;
    std::vector<std::string> others;
    for (auto const& interface : subfolders(net)) {
        auto mac = parse_mac_address(trimmed(read_text(interface / "address")));
        if (!mac || read_number(interface / "type") != ethernet) {
            continue;
        }
        std::error_code failed;
        (fs::exists(interface / "device", failed) ? cards : others).push_back(std::move(*mac));
    }
    auto& macs = cards.empty() ? others : cards;
    std::ranges::sort(macs);
    macs.erase(std::unique(macs.begin(), macs.end()), macs.end());
    return macs;
}

std::string find_dmi_serial(fs::path const& dmi) {
    auto serial = trimmed(read_text(dmi / "product_serial"));
    return is_placeholder(serial) ? std::string() : serial;
}

std::string list_text(std::vector<disk_facts> const& disks) {
    std::string text;
    for (auto const& disk : disks) {
        text += (text.empty() ? "" : ", ") + describe(disk) + (disk.used.empty() ? "" : " " + disk.used);
    }
    return text;
}

} // namespace seedbed
