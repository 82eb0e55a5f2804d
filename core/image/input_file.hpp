#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Reads a regular file of at most \p max_size bytes. The error is one line "PATH: reason". Does not block on a FIFO.
[[nodiscard]] result<std::string> read_input_file(std::filesystem::path const& path, std::int64_t max_size);

} // namespace seedbed
