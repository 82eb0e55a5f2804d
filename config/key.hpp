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
    restart ///< at the next start: the objects set up with the value are in use
};
[[nodiscard]] char const* to_string(key_change change) noexcept;

/// How the value of a key is written, for the manual.
struct key_form {
    std::string type;  ///< "number", "size", "duration", ...
    std::string range; ///< "1 to 65535", "lazy, full or none"; empty: any value of the type
};

/// One key of the configuration. \tparam Whole the structure that has its value: settings, image_settings or
/// machine_settings.
template <class Whole>
struct config_key {
    std::string table; ///< "network", "profile.hdd", "image"
    std::string name;
    key_form form;
    /// The default, as text: a value or, if fixed_default is false, a description.
    std::string preset;
    bool fixed_default = true;
    key_change change = key_change::live;
    std::optional<image_mode> only; ///< the mode of images that have this key; nothing: both

    /// Reads the key into the last argument, which is unchanged if the key is missing or invalid; the latter is
    /// reported. The path is the folder where relative paths start.
    std::function<void(table_reader&, std::filesystem::path const&, Whole&)> read;
    std::function<bool(Whole const&, Whole const&)> equal;
    std::function<void(Whole const& from, Whole& to)> copy;

    [[nodiscard]] std::string path() const { return table + "." + name; }
};

/// Every key outside [[image]], by table. Created once; may be read from any thread.
[[nodiscard]] std::vector<config_key<settings>> const& daemon_keys();
/// Every key of an [[image]]. A name has one row per mode if its meaning depends on the mode.
[[nodiscard]] std::vector<config_key<image_settings>> const& image_keys();

/// Every key of a [[machine]].
[[nodiscard]] std::vector<config_key<machine_settings>> const& machine_keys();

/// The paths ("hashing.ahead") of the keys that differ and take effect only at the next start.
[[nodiscard]] std::vector<std::string> restart_differences(settings const& running, settings const& wanted);
/// Copies the values of those keys from \p running to \p wanted, so that the next reload compares with the values in
/// effect.
void keep_restart_keys(settings const& running, settings& wanted);

} // namespace seedbed
