#pragma once

#include <cstdint>

namespace seedbed {

/// The state of an image. is_legal() has the table of transitions; in short:
///
///     opening -> checking -> downloading -> flushing -> verifying -> seeding   deploy
///     opening -> flushing | seeding                       deploy, with a complete checkpoint
///     flushing | verifying | seeding -> checking          deploy, if the device differs after all
///     opening [-> verifying] -> seeding                   seed
///     any of these -> failed                              listed until a reload
///     any of these -> closing -> closed, failed -> closed
enum class image_state : std::uint8_t {
    opening,
    checking,
    downloading,
    flushing,
    verifying,
    seeding,
    failed,
    closing,
    closed
};

/// For example "downloading".
[[nodiscard]] char const* to_string(image_state state) noexcept;

/// Whether an image may change from one state to the other.
[[nodiscard]] bool is_legal(image_state from, image_state to) noexcept;

/// Whether the image is ending or has ended: events that still arrive change nothing.
[[nodiscard]] constexpr bool has_ended(image_state state) noexcept {
    return state == image_state::failed || state == image_state::closing || state == image_state::closed;
}

} // namespace seedbed
