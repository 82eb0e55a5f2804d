#include "daemon/image/image_state.hpp"

#include <array>
#include <cstddef>
#include <initializer_list>

namespace seedbed {

namespace {

using enum image_state;

constexpr std::size_t state_count = 9;

/// A set of states, one bit for each.
class state_set {
public:
    constexpr state_set(std::initializer_list<image_state> states) {
        for (auto const state : states) {
            m_bits |= bit(state);
        }
    }
    [[nodiscard]] constexpr bool has(image_state state) const { return (m_bits & bit(state)) != 0; }

private:
    static constexpr unsigned bit(image_state state) { return 1U << static_cast<unsigned>(state); }
    unsigned m_bits = 0;
};

/// The states that may follow each state, in the order of the enum.
constexpr std::array<state_set, state_count> successors{{
    /* opening */ {checking, flushing, verifying, seeding, failed, closing},
    /* checking */ {downloading, failed, closing},
    /* downloading */ {flushing, failed, closing},
    /* flushing */ {checking, verifying, seeding, failed, closing},
    /* verifying */ {checking, seeding, failed, closing},
    /* seeding */ {checking, failed, closing},
    /* failed */ {image_state::closed},
    /* closing */ {image_state::closed},
    /* closed */ {},
}};

} // namespace

char const* to_string(image_state state) noexcept {
    constexpr std::array<char const*, state_count> names{"opening", "checking", "downloading", "flushing", "verifying",
                                                         "seeding", "failed",   "closing",     "closed"};
    return names.at(static_cast<std::size_t>(state));
}

bool is_legal(image_state from, image_state to) noexcept {
    return successors.at(static_cast<std::size_t>(from)).has(to);
}

} // namespace seedbed
