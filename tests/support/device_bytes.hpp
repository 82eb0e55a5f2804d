#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "core/device/full_transfer.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed::test {

/// Bytes that differ with the offset and the seed.
[[nodiscard]] inline std::vector<std::byte> pattern(std::size_t length, std::uint64_t seed) {
    std::vector<std::byte> bytes(length);
    std::uint64_t state = seed * 2 + 1;
    for (std::byte& byte : bytes) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        byte = static_cast<std::byte>(state >> 56U);
    }
    return bytes;
}

/// Writes to a device or a file that another object may have open. Throws on failure.
inline void put_bytes(std::string const& path, std::int64_t offset, std::span<std::byte const> bytes) {
    unique_fd const fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    auto const call = [&](std::byte const* from, std::size_t count, std::int64_t at) {
        return ::pwrite(fd.get(), from, count, at);
    };
    int const code = fd ? transfer_fully(call, offset, bytes) : errno;
    if (code != 0 || ::fsync(fd.get()) != 0) {
        throw std::system_error(code != 0 ? code : errno, std::generic_category(), "write " + path);
    }
}

/// The content of a device or a file, as its page cache shows it. Throws on failure.
[[nodiscard]] inline std::vector<std::byte> get_bytes(std::string const& path, std::int64_t offset,
                                                      std::size_t length) {
    std::vector<std::byte> bytes(length);
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    auto const call = [&](std::byte* to, std::size_t count, std::int64_t at) {
        return ::pread(fd.get(), to, count, at);
    };
    if (int const code = fd ? transfer_fully(call, offset, std::span(bytes)) : errno; code != 0) {
        throw std::system_error(code, std::generic_category(), "read " + path);
    }
    return bytes;
}

/// The whole content of a device or a regular file.
[[nodiscard]] inline std::vector<std::byte> all_bytes(std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    auto const length = fd ? ::lseek(fd.get(), 0, SEEK_END) : -1;
    if (length < 0) {
        throw std::system_error(errno, std::generic_category(), "size of " + path);
    }
    return get_bytes(path, 0, static_cast<std::size_t>(length));
}

} // namespace seedbed::test
