#include "core/foundation/free_memory.hpp"

#include <charconv>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace seedbed {

namespace {

std::string read_meminfo() {
    std::ifstream file("/proc/meminfo");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// \param key with its colon.
std::optional<std::int64_t> parse_meminfo(std::string_view meminfo, std::string_view key) {
    constexpr std::int64_t kib = 1024;
    auto const at = meminfo.find(key);
    auto const digits = at == std::string_view::npos ? at : meminfo.find_first_not_of(' ', at + key.size());
    if (digits == std::string_view::npos) {
        return std::nullopt;
    }
    std::int64_t kilobytes = 0;
    auto const* const end = meminfo.data() + meminfo.size();
    auto const [last, ec] = std::from_chars(meminfo.data() + digits, end, kilobytes);
    auto const unit = meminfo.substr(static_cast<std::size_t>(last - meminfo.data()));
    if (ec != std::errc{} || !unit.starts_with(" kB") || kilobytes < 0 ||
        kilobytes > std::numeric_limits<std::int64_t>::max() / kib) {
        return std::nullopt;
    }
    return kilobytes * kib;
}

} // namespace

std::optional<std::int64_t> free_memory() {
    return parse_free_memory(read_meminfo());
}

std::optional<std::int64_t> parse_free_memory(std::string_view meminfo) {
    return parse_meminfo(meminfo, "MemAvailable:");
}

std::optional<std::int64_t> total_memory() {
    return parse_total_memory(read_meminfo());
}

std::optional<std::int64_t> parse_total_memory(std::string_view meminfo) {
    return parse_meminfo(meminfo, "MemTotal:");
}

} // namespace seedbed
