#include "config/image_table_text.hpp"

#include <algorithm>
#include <system_error>
#include <tuple>
#include <vector>

#include "config/value_formats.hpp"

namespace seedbed {

namespace {

/// A basic string of TOML.
std::string toml_text(std::string_view text) {
    std::string quoted = "\"";
    for (char const c : text) {
        if (c == '"' || c == '\\') {
            quoted += '\\';
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            constexpr std::string_view digits = "0123456789ABCDEF";
            auto const code = static_cast<unsigned char>(c);
            quoted += "\\u00";
            quoted += digits[code >> 4U];
            quoted += digits[code & 0xfU];
        } else {
            quoted += c;
        }
    }
    return quoted + '"';
}

} // namespace

std::string image_table_text(std::string const& name, std::string const& torrent, std::string const& device) {
    return "[[image]]\nname = " + toml_text(name) + "\ntorrent = " + toml_text(torrent) +
           "\ndevice = " + toml_text(device) + "\nmode = \"seed\"\n";
}

std::string suggested_name(std::filesystem::path const& file) {
    auto name = file.stem().string();
    for (auto& c : name) {
        c = check_name_of_image(std::string(2, c)) ? '-' : c; // twice: a single dot means a folder
    }
    name = name.substr(std::min(name.find_first_not_of(".-"), name.size()), 64);
    return check_name_of_image(name) ? "image" : name;
}

std::string stable_device_name(std::string const& device, std::filesystem::path const& by_id) {
    std::error_code failed;
    if (std::filesystem::is_symlink(device, failed) || !std::filesystem::is_block_file(device, failed)) {
        return device;
    }
    auto const target = std::filesystem::canonical(device, failed);
    std::vector<std::tuple<bool, std::string>> names; // the preferred ones first
    for (std::filesystem::directory_iterator at(by_id, failed), end; !failed && at != end; at.increment(failed)) {
        std::error_code dangling;
        if (std::filesystem::canonical(at->path(), dangling) == target && !dangling) {
            auto const name = at->path().filename().string();
            names.emplace_back(name.starts_with("wwn-") || name.starts_with("nvme-eui."), at->path().string());
        }
    }
    return names.empty() ? device : std::get<1>(*std::ranges::min_element(names));
}

} // namespace seedbed
