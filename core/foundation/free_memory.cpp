#include "core/foundation/free_memory.hpp"

#include <charconv>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace seedbed {

std::optional<std::int64_t> free_memory() {
    std::ifstream file("/proc/meminfo");
    std::string const text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return parse_free_memory(text);
}

std::optional<std::int64_t> parse_free_memory(std::string_view meminfo) {
    constexpr std::string_view key = "MemAvailable:";
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

} // namespace seedbed
