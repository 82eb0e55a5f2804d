#pragma once

#include <string>
#include <utility>

#include "config/key.hpp"

namespace seedbed::test {

/// The two ends of a range "MIN to MAX".
inline std::pair<std::string, std::string> ends_of(std::string const& range) {
    auto const at = range.find(" to ");
    auto const first = range.rfind(' ', at - 1); // of "0 (no limit) or 2 to 65535"
    auto const begin =
        first == std::string::npos || range.substr(0, first).find("or") == std::string::npos ? 0 : first + 1;
    return {range.substr(begin, at - begin), range.substr(at + 4)};
}

/// A valid value other than the default, as TOML; empty for a type that is unknown here.
template <class Whole>
std::string other_value(config_key<Whole> const& key) {
    auto const& [type, range] = key.form;
    auto const quoted = [](std::string const& text) { return "\"" + text + "\""; };
    if (type == "true or false") {
        return key.preset == "true" ? "false" : "true";
    }
    if (type == "true, false or \"auto\"") {
        return "true";
    }
    if (type == "number" || type == "power of two" || type.starts_with("number or list")) {
        auto const [min, max] = ends_of(range);
        return min == key.preset ? max : min;
    }
    if (type == "size" || type.starts_with("size, or share") || type == "duration") {
        auto const [min, max] = ends_of(range);
        return quoted(min == key.preset ? max : min);
    }
    if (type == "size per second") {
        return "1";
    }
    if (type == "word") {
        auto const first = range.substr(0, range.find_first_of(", "));
        return quoted(first != key.preset ? first : range.substr(range.rfind(' ') + 1));
    }
    if (type == "disk rule") {
        return quoted("largest");
    }
    if (type == "partition") {
        return quoted("last");
    }
    if (type == "path") {
        return quoted("/other");
    }
    if (type.starts_with("path, or list")) {
        return R"(["/bin/true", "x"])";
    }
    if (type == "list of networks") {
        return "[\"192.0.2.0/24\"]";
    }
    if (type.find("ADDRESS:PORT") != std::string::npos) {
        return R"(["192.0.2.7:7"])";
    }
    if (type == "list of URLs") {
        return R"(["http://192.0.2.7/announce"])";
    }
    return type == "text" ? quoted("other") : std::string();
}

/// An image with the required keys and those that \p key requires.
inline std::string image_before(config_key<image_settings> const& key) {
    auto const mode = key.name == "mode" ? image_mode::deploy : key.only.value_or(image_mode::seed);
    return std::string("[[image]]\nname = \"a\"\ntorrent = \"/t/a\"\ndevice = \"/d/a\"\nmode = \"") + to_string(mode) +
           "\"\n" + (key.name == "on_complete" ? "expect = 1\n" : "");
}

/// The same image with another value of \p key.
inline std::string image_after(config_key<image_settings> const& key) {
    auto text = image_before(key);
    if (auto const at = text.find("\n" + key.name + " = "); at != std::string::npos) {
        text.erase(at + 1, text.find('\n', at + 1) - at);
    }
    return text + key.name + " = " + other_value(key) + "\n";
}

} // namespace seedbed::test
