#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Bytes that come in order, once: a file, or the output of a program. Threads: one.
class byte_source {
public:
    byte_source() = default;
    byte_source(byte_source const&) = delete;
    byte_source& operator=(byte_source const&) = delete;
    virtual ~byte_source() = default;

    /// The source in messages.
    [[nodiscard]] virtual std::string const& name() const noexcept = 0;
    /// Reads at least one byte; 0 at the end. The error is one line that names the source. Blocks.
    [[nodiscard]] virtual result<std::size_t> read(std::span<std::byte> buffer) = 0;
};

} // namespace seedbed
