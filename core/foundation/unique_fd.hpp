#pragma once

#include <utility>

namespace seedbed {

/// Owns one file descriptor; the only place in the program that closes one.
///
/// Threads: none of its members may run concurrently on the same object.
class unique_fd {
public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept
        : m_fd(fd) {}
    unique_fd(unique_fd&& other) noexcept
        : m_fd(std::exchange(other.m_fd, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        if (this != &other) {
            reset(std::exchange(other.m_fd, -1));
        }
        return *this;
    }
    unique_fd(unique_fd const&) = delete;
    unique_fd& operator=(unique_fd const&) = delete;
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return m_fd; }
    [[nodiscard]] explicit operator bool() const noexcept { return m_fd >= 0; }

    /// Closes the owned descriptor and takes \p fd. The result of close(2) is ignored because it says nothing about the
    /// data: data that must be on the disk is flushed before, and the result of that is checked.
    void reset(int fd = -1) noexcept;

    /// Releases the descriptor without closing it.
    [[nodiscard]] int release() noexcept { return std::exchange(m_fd, -1); }

private:
    int m_fd = -1;
};

} // namespace seedbed
