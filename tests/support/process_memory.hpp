#pragma once

#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>

namespace seedbed::test {

/// Bytes of a line of /proc/self/status, see proc(5): "VmRSS" is resident now, "VmHWM" was so at the most.
inline std::int64_t process_memory(std::string const& key) {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with(key + ":")) {
            return std::stoll(line.substr(key.size() + 1)) << 10;
        }
    }
    throw std::runtime_error("/proc/self/status has no " + key);
}

/// Counts "VmHWM" from what is resident now.
inline void forget_peak_memory() {
    std::ofstream("/proc/self/clear_refs") << "5";
}

} // namespace seedbed::test
