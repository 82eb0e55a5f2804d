#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

/// A key of a terminal.
struct pressed_key {
    enum class kind : std::uint8_t {
        character, ///< printable ASCII
        enter,
        escape,
        tab,
        backspace,
        erase_line, ///< Ctrl-U
        redraw,     ///< Ctrl-L
        up,
        down,
        page_up,
        page_down,
        home,
        end
    };
    kind what = kind::character;
    char character = '\0'; ///< of a character

    friend bool operator==(pressed_key const&, pressed_key const&) = default;
};

/// Recognises keys in what a terminal sends: characters, control characters, and the sequences of ECMA-48 and xterm.
/// Other keys, and bytes that are not ASCII, are left out. Pure.
class key_decoder {
public:
    /// \param bytes as read. \return the keys that are complete.
    [[nodiscard]] std::vector<pressed_key> feed(std::string_view bytes);
    /// Whether the beginning of a sequence, or the key Escape, has been read.
    [[nodiscard]] bool is_waiting() const noexcept { return !m_begun.empty(); }
    /// Nothing follows the escape character: it was the key Escape. Forgets the beginning of any other sequence.
    [[nodiscard]] std::vector<pressed_key> end_sequence();

private:
    /// Adds a byte to the sequence that has begun.
    void continue_sequence(char byte, std::vector<pressed_key>& keys);

    std::string m_begun; ///< of a sequence; limited to the longest that is recognised
};

} // namespace seedbed
