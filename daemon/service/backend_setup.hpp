#pragma once

#include <cstdint>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"

namespace seedbed {

// What the settings mean for a backend and a session.

[[nodiscard]] backend_options to_backend_options(settings const& wanted);

[[nodiscard]] int hash_threads(settings const& wanted);

/// How much may wait to be written before peers are paused, in bytes.
[[nodiscard]] std::int64_t queued_bytes(settings const& wanted);

} // namespace seedbed
