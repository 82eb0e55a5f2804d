#pragma once

#include <string>
#include <string_view>

#include "config/load.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// Converts a CSV file (RFC 4180, but without line breaks in fields; fields are separated by commas or semicolons, as
/// in the first line) into a file for machines.d. The first line names the columns: name, image, mac or serial, disk,
/// after. Empty lines and those that start with "#" are skipped; an empty field leaves its key out.
///
/// Each machine is in the line that it has in the CSV file, so that errors in the result have the right line numbers.
/// Values are not checked: their reader does that. \param name the CSV file, for errors.
[[nodiscard]] result<std::string, config_errors> machines_from_csv(std::string_view csv, std::string const& name);

} // namespace seedbed
