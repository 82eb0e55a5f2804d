#pragma once

#include <optional>

#include <nlohmann/json_fwd.hpp>

#include "config/settings.hpp"

namespace seedbed {

/// Adds an order's members to a JSON object. Threads: any; so too below.
void add_order(nlohmann::ordered_json& object, machine_order const& order);
/// The reverse. Nothing if a member cannot be used or image, disk or after is missing; grow and new_ids may be missing.
[[nodiscard]] std::optional<machine_order> read_order(nlohmann::json const& object);

} // namespace seedbed
