#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

#include "core/foundation/strong.hpp"

namespace seedbed {

/// A failure that a person can act on: one line that states what, where and why, without a full stop or a newline. Used
/// for failures without an errno: bad input, refused devices, violated format rules.
struct error {
    std::string message;
};

/// A value, or the reason why there is none.
template <class T, class E = error>
using result = tl::expected<T, E>;

/// The operation during which an io_error occurred.
enum class io_operation : std::uint8_t { open, read, write, flush, query, hash };

/// The operation as a verb: "read", "write" and so on.
[[nodiscard]] char const* to_string(io_operation op) noexcept;

/// A failed system call on a device, with everything needed to name the place on the disk.
struct io_error {
    io_operation operation = io_operation::read;
    std::string device;      ///< the path as the user gave it
    std::int64_t offset = 0; ///< bytes from the start of the device; 0 if the operation has no position
    std::int64_t length = 0; ///< bytes requested; for a flush, the range at risk; 0 if there is none
    int code = 0;            ///< errno, never 0
    std::string detail = {}; ///< describes the error better than errno does; empty if nothing does

    /// For example: "write /dev/sda1: offset 1048576, length 16384: Input/output error (EIO)".
    [[nodiscard]] std::string message() const;
};

/// An io_error; without the device's name if there is no memory for it. For threads that must not throw.
[[nodiscard]] io_error make_io_error(io_operation operation, std::string const& device, device_offset offset,
                                     std::int64_t length, int code) noexcept;
/// A copy; without the texts if there is no memory for it.
[[nodiscard]] io_error copy_of(io_error const& other) noexcept;

/// The symbol of an errno value ("EIO"), or its number if the C library does not know it.
[[nodiscard]] std::string errno_name(int code);

/// An error about a file and a system call: "PATH: reason".
[[nodiscard]] error errno_error(std::string const& what, int code);

} // namespace seedbed
