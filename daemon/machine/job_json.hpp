#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "config/settings.hpp"

namespace seedbed {

// Parts of the JSON documents about machines and their jobs. Threads: any.

/// The printable text, or null if it is empty.
[[nodiscard]] nlohmann::ordered_json printable_or_null(std::string const& text);
/// The text of an object's member, printable, at most longest_job_text; empty if the member is missing or not a string.
[[nodiscard]] std::string job_text(nlohmann::json const& object, char const* key);

/// Adds an order's members to a JSON object.
void add_order(nlohmann::ordered_json& object, machine_order const& order);
/// The inverse. Nothing if a member cannot be used or image, disk or after is missing; grow and new_ids may be missing.
/// The rule for the disk is exactly what was ordered, and need not be printable.
[[nodiscard]] std::optional<machine_order> read_order(nlohmann::json const& object);

} // namespace seedbed
