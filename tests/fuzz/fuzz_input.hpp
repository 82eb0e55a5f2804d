#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace seedbed::fuzz {

/// The bytes of one run, taken from the front.
class input {
public:
    input(std::uint8_t const* data, std::size_t size)
        : m_rest(reinterpret_cast<char const*>(data), size) {}

    [[nodiscard]] bool empty() const noexcept { return m_rest.empty(); }
    /// 0 at the end.
    [[nodiscard]] std::uint8_t byte() {
        if (m_rest.empty()) {
            return 0;
        }
        auto const first = static_cast<std::uint8_t>(m_rest.front());
        m_rest.remove_prefix(1);
        return first;
    }
    /// Everything that is left.
    [[nodiscard]] std::string rest() const { return std::string(m_rest); }

private:
    std::string_view m_rest;
};

/// Ends the program, which libFuzzer reports as a failure with its input.
inline void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

/// An error is one line for people.
inline void require_line(std::string_view message) {
    require(!message.empty());
    require(message.find('\n') == std::string_view::npos);
}

} // namespace seedbed::fuzz
