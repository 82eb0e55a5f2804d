#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

#include "core/foundation/strong.hpp"

namespace seedbed {

/// A failure that a person can act on: one line with what, where and why, without a full stop or a newline.
/// Used where no errno is at hand: bad input, refused devices, broken rules of a format.
struct error {
    std::string message;
};

/// A value, or the reason why there is none.
template <class T, class E = error>
using result = tl::expected<T, E>;

/// What was being done when an io_error happened.
enum class io_operation : std::uint8_t { open, read, write, flush, query, hash };

/// The operation as a verb: "read", "write" and so on.
[[nodiscard]] char const* to_string(io_operation op) noexcept;

/// A failed system call on a device: all that is needed to name the place on the disk.
struct io_error {
    io_operation operation = io_operation::read;
    std::string device;      ///< the path as the user gave it
    std::int64_t offset = 0; ///< bytes from the start of the device; 0 where the operation has no place
    std::int64_t length = 0; ///< bytes asked for; of a flush, between which lies what is lost; 0 where there is none
    int code = 0;            ///< errno, never 0

    /// For example: "write /dev/sda1: offset 1048576, length 16384: Input/output error (EIO)".
    [[nodiscard]] std::string message() const;
};

/// An io_error, or, where there is no memory for the device's name, one without it: for threads on which nothing may be
/// thrown.
[[nodiscard]] io_error make_io_error(io_operation operation, std::string const& device, device_offset offset,
                                     std::int64_t length, int code) noexcept;
/// A copy, or one without the name, likewise.
[[nodiscard]] io_error copy_of(io_error const& other) noexcept;

/// The symbol of an errno value ("EIO"), or its number where the C library knows none.
[[nodiscard]] std::string errno_name(int code);

/// An error about a file and a system call: "PATH: reason".
[[nodiscard]] error errno_error(std::string const& what, int code);

} // namespace seedbed
