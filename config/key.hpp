#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"

namespace seedbed {

class table_reader;

/// When a changed value takes effect.
enum class key_change : std::uint8_t {
    live,   ///< at a reload; an image stays open and keeps its peers
    reopen, ///< at a reload, which closes the image and opens it again
    restart ///< at the next start: what has been set up with the value is in use
};
[[nodiscard]] char const* to_string(key_change change) noexcept;

/// How the value of a key is written, for the manual.
struct key_form {
    std::string type;  ///< "number", "size", "duration", ...
    std::string range; ///< "1 to 65535", "lazy, full or none"; empty: any value of the type
};

/// One key of the configuration. \tparam Whole what its value is a part of: settings, or image_settings.
template <class Whole>
struct config_key {
    std::string table; ///< "network", "profile.hdd", "image"
    std::string name;
    key_form form;
    /// The default, as text: a value or, where fixed_default is false, a description.
    std::string preset;
    bool fixed_default = true;
    key_change change = key_change::live;
    std::optional<image_mode> only; ///< the mode of image that has it; nothing: both

    /// Reads the key into the last argument, which stays as it is if the key is missing or, as the reader's report then
    /// says, wrong. The path is the folder where relative paths start.
    std::function<void(table_reader&, std::filesystem::path const&, Whole&)> read;
    std::function<bool(Whole const&, Whole const&)> equal;
    std::function<void(Whole const& from, Whole& to)> copy;

    [[nodiscard]] std::string path() const { return table + "." + name; }
};

/// Every key outside [[image]], by table. Made once; any thread may read it.
[[nodiscard]] std::vector<config_key<settings>> const& daemon_keys();
/// Every key of an [[image]]. A name stands there once for each mode in which it means something else.
[[nodiscard]] std::vector<config_key<image_settings>> const& image_keys();

/// The paths ("hashing.ahead") of the keys in which the two differ and that take effect at the next start only.
[[nodiscard]] std::vector<std::string> restart_differences(settings const& running, settings const& wanted);
/// Gives \p wanted the values of \p running for those keys, so that the next reload compares with what is in force.
void keep_restart_keys(settings const& running, settings& wanted);

} // namespace seedbed
