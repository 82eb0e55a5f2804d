#pragma once

#include <cstdint>

namespace seedbed {

/// What an image is doing. The legal ways:
///
///     opening -> checking -> downloading -> flushing -> verifying -> seeding      (deploy)
///     opening -> flushing | seeding                                               (deploy, all was there before)
///     flushing | verifying | seeding -> checking                                  (deploy, something is not there)
///     opening [-> verifying] -> seeding                                           (seed)
///     any -> failed                                                               (stays in the list until a reload)
///     any -> closing -> closed
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

} // namespace seedbed
