#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "config/load.hpp"

// Configuration texts for the tests of config/.
namespace seedbed::test {

using lines = std::vector<std::string>;

inline void write(std::filesystem::path const& path, std::string const& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    REQUIRE(file.flush());
}

inline std::string content(std::filesystem::path const& path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

inline settings accepted(result<settings, config_errors> loaded) {
    for (auto const& line : loaded ? lines{} : loaded.error().lines) {
        UNSCOPED_INFO(line);
    }
    REQUIRE(loaded);
    return *std::move(loaded);
}

inline lines refused(result<settings, config_errors> const& loaded) {
    REQUIRE_FALSE(loaded);
    REQUIRE_FALSE(loaded.error().lines.empty());
    return loaded.error().lines;
}

inline settings good(std::string const& text) {
    return accepted(parse_settings(text, "/etc/seedbed/t.toml"));
}

/// The errors of a text, without the file name.
inline lines bad(std::string const& text) {
    auto errors = refused(parse_settings(text, "/etc/t.toml"));
    for (auto& line : errors) {
        REQUIRE(line.starts_with("/etc/t.toml:"));
        line.erase(0, std::string("/etc/t.toml:").size());
    }
    return errors;
}

/// A valid image of five lines; \p more follows them.
inline std::string image(std::string const& name, std::string const& more = "", std::string const& mode = "seed") {
    return "[[image]]\nname = '" + name + "'\ntorrent = '/t/" + name + "'\ndevice = '/d/" + name + "'\nmode = '" +
           mode + "'\n" + more;
}

inline void check_equal(settings const& a, settings const& b) {
    CHECK(a.images == b.images);
    CHECK(a.network == b.network);
    CHECK(a.tracker == b.tracker);
    CHECK(a.memory == b.memory);
    CHECK(a.hashing == b.hashing);
    CHECK(a.resume == b.resume);
    CHECK(a.control == b.control);
    CHECK(a.metrics == b.metrics);
    CHECK(a.log == b.log);
    CHECK(a.machines == b.machines);
    CHECK(a.boot == b.boot);
    CHECK(a.profiles == b.profiles);
}

/// \p text with each "#key = value" and "#[[table]]" made active. Explanations have a space after their "#".
inline std::string uncommented(std::string const& text) {
    std::istringstream in(text);
    std::string out;
    for (std::string line; std::getline(in, line);) {
        bool const sample = line.size() > 1 && line[0] == '#' && line[1] != ' ';
        out += (sample ? line.substr(1) : line) + "\n";
    }
    return out;
}

} // namespace seedbed::test
