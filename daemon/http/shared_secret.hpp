#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/foundation/error.hpp"

namespace seedbed {

/// A secret shared by a daemon and its targets. It is never sent: a side proves that it knows the secret with a code
/// (HMAC-SHA-256, RFC 2104) over a challenge from the other side.
///
/// Threads: immutable.
class shared_secret {
public:
    static constexpr std::size_t shortest = 16;   ///< bytes
    static constexpr std::size_t longest = 4096;  ///< bytes
    static constexpr std::size_t code_bytes = 32; ///< of a code

    /// \param bytes at least `shortest`, since codes of a shorter secret prove little.
    explicit shared_secret(std::string bytes)
        : m_bytes(std::move(bytes)) {}

    /// Reads the secret from a file, without line ends at the end. Refuses anything but a regular file, a file that
    /// users other than its owner and group can read or write, and a secret that is too short or too long.
    [[nodiscard]] static result<std::shared_ptr<shared_secret const>> load(std::string const& file);

    /// The code of \p message, 64 hex digits.
    [[nodiscard]] std::string code(std::string_view message) const;
    /// Takes constant time, whatever \p given is.
    [[nodiscard]] bool proves(std::string_view message, std::string_view given) const;

private:
    std::string m_bytes;
};

/// Unpredictable bytes from the kernel. Threads: any.
[[nodiscard]] std::string random_bytes(std::size_t count);

/// Creates challenges for clients and recognises them again without storing them: each contains its time, and a code of
/// that time and of the client's address.
///
/// Threads: one at a time.
class challenges {
public:
    using clock = std::chrono::steady_clock;
    /// How long a client has to answer.
    static constexpr std::chrono::seconds lifetime{60};

    challenges();

    /// Letters and digits. \param address of the client.
    [[nodiscard]] std::string make(std::string_view address, clock::time_point now) const;
    /// Whether \p challenge was made here for \p address, within the lifetime.
    [[nodiscard]] bool is_valid(std::string_view challenge, std::string_view address, clock::time_point now) const;

private:
    shared_secret m_own;
};

} // namespace seedbed
