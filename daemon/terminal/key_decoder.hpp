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
    char character = '\0'; ///< of kind::character

    friend bool operator==(pressed_key const&, pressed_key const&) = default;
};

/// Recognises keys in the bytes that a terminal sends: characters, control characters, and the sequences of ECMA-48 and
/// xterm. Other keys, and bytes that are not ASCII, are ignored. Pure.
class key_decoder {
public:
    /// \param bytes as read. \return the keys that are complete.
    [[nodiscard]] std::vector<pressed_key> feed(std::string_view bytes);
    /// Whether an escape character has been read, which may be the key Escape or begin a sequence.
    [[nodiscard]] bool is_waiting() const noexcept { return !m_begun.empty(); }
    /// Ends the sequence, since nothing follows: the escape character alone is the key Escape; any other beginning is
    /// dropped.
    [[nodiscard]] std::vector<pressed_key> end_sequence();

private:
    /// Adds a byte to the sequence that has begun.
    void continue_sequence(char byte, std::vector<pressed_key>& keys);

    std::string m_begun; ///< the sequence so far; limited to the longest recognised one
};

} // namespace seedbed
