#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/device/storage_class.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

/// What a machine reports about its disk, for the history and the list of machines. Texts are empty and numbers 0 if
/// they are unknown.
struct target_facts {
    std::string device; ///< path
    std::optional<storage_class> cls = {};
    std::string model = {};
    std::string serial = {};
    std::int64_t disk_bytes = 0;  ///< size of the device
    std::int64_t image_bytes = 0; ///< size of the image on the device
    std::string warnings = {};    ///< separated by "; "

    friend bool operator==(target_facts const&, target_facts const&) = default;
};

/// The longest text of these facts, in bytes.
inline constexpr std::size_t longest_fact = 300;

/// What is known of a device that was refused: its path, and its class if it exists. Reads a few files of sysfs.
[[nodiscard]] target_facts facts_of_refused(std::string const& device);

/// "&device=...&class=...&model=...&disk_serial=...&disk_bytes=...&image_bytes=...&warnings=...": the known ones, to be
/// appended to the query of a report. Servers that do not know a key ignore it.
[[nodiscard]] std::string to_query(target_facts const& facts);
/// The inverse; texts are printable and short.
[[nodiscard]] target_facts read_target_facts(query_string const& query);

} // namespace seedbed
