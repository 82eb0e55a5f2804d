#include "daemon/terminal/key_decoder.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace seedbed {

namespace {

using key_kind = pressed_key::kind;

constexpr char escape_byte = '\x1b';
/// No recognised key has a longer sequence; the rest of a longer one is skipped.
constexpr std::size_t longest_sequence = 16;

/// Sequences after the escape character, in both cursor modes: of xterm, the Linux console and screen.
constexpr std::array<std::pair<std::string_view, key_kind>, 16> sequences{{{"[A", key_kind::up},
                                                                           {"OA", key_kind::up},
                                                                           {"[B", key_kind::down},
                                                                           {"OB", key_kind::down},
                                                                           {"[5~", key_kind::page_up},
                                                                           {"[6~", key_kind::page_down},
                                                                           {"[H", key_kind::home},
                                                                           {"OH", key_kind::home},
                                                                           {"[1~", key_kind::home},
                                                                           {"[7~", key_kind::home},
                                                                           {"[F", key_kind::end},
                                                                           {"OF", key_kind::end},
                                                                           {"[4~", key_kind::end},
                                                                           {"[8~", key_kind::end},
                                                                           {"[3~", key_kind::backspace},
                                                                           {"OM", key_kind::enter}}};

std::optional<pressed_key> key_of_byte(char byte) {
    switch (byte) {
    case '\r':
    case '\n':
        return pressed_key{key_kind::enter};
    case '\t':
        return pressed_key{key_kind::tab};
    case '\b':
    case '\x7f':
        return pressed_key{key_kind::backspace};
    case '\x15':
        return pressed_key{key_kind::erase_line};
    case '\x0c':
        return pressed_key{key_kind::redraw};
    default:
        return byte >= ' ' && byte <= '~' ? std::optional(pressed_key{key_kind::character, byte}) : std::nullopt;
    }
}

/// Whether the byte ends a sequence that begins with the escape character and \p begun (ECMA-48, 5.4).
bool is_last(std::string_view begun, char byte) {
    auto const introduces = begun.empty() && (byte == '[' || byte == 'O');
    return !introduces && (byte < ' ' || (byte >= '@' && byte <= '~') || begun == "O");
}

} // namespace

std::vector<pressed_key> key_decoder::feed(std::string_view bytes) {
    std::vector<pressed_key> keys;
    for (auto const byte : bytes) {
        if (byte == escape_byte) {
            m_begun.assign(1, byte); // a sequence that this one interrupts is lost
        } else if (!m_begun.empty()) {
            continue_sequence(byte, keys);
        } else if (auto const key = key_of_byte(byte)) {
            keys.push_back(*key);
        }
    }
    return keys;
}

void key_decoder::continue_sequence(char byte, std::vector<pressed_key>& keys) {
    auto const begun = std::string_view(m_begun).substr(1);
    if (!is_last(begun, byte)) {
        if (m_begun.size() < longest_sequence) {
            m_begun += byte;
        }
        return;
    }
    auto const sequence = std::string(begun) + byte;
    m_begun.clear();
    auto const* const found =
        std::ranges::find(sequences, std::string_view(sequence), &std::pair<std::string_view, key_kind>::first);
    if (found != sequences.end()) {
        keys.push_back({found->second});
    }
}

std::vector<pressed_key> key_decoder::end_sequence() {
    auto const was_escape = std::exchange(m_begun, {}).size() == 1;
    return was_escape ? std::vector<pressed_key>{{key_kind::escape}} : std::vector<pressed_key>{};
}

} // namespace seedbed
