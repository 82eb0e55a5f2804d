#pragma once

#include <optional>
#include <string_view>

#include <toml++/toml.h>

#include "config/error_report.hpp"

namespace seedbed {

/// Parses \p text. A syntax error goes into \p report, as "file:line: syntax: reason".
[[nodiscard]] std::optional<toml::table> parse_toml(std::string_view text, config_source const& source,
                                                    error_report& report);

} // namespace seedbed
