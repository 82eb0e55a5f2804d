#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace seedbed {

/// The bytes of memory that programs can get without swapping (MemAvailable in /proc/meminfo); nothing if the kernel
/// does not report it.
[[nodiscard]] std::optional<std::int64_t> free_memory();

/// The same from the text of /proc/meminfo.
[[nodiscard]] std::optional<std::int64_t> parse_free_memory(std::string_view meminfo);

/// The bytes of memory that the kernel manages (MemTotal in /proc/meminfo), whatever uses them; nothing if it does not
/// report that.
[[nodiscard]] std::optional<std::int64_t> total_memory();

/// The same from the text of /proc/meminfo.
[[nodiscard]] std::optional<std::int64_t> parse_total_memory(std::string_view meminfo);

} // namespace seedbed
