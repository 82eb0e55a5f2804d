#pragma once

#include <string>

namespace seedbed::test {

/// The data of a gzip file of one member; "invalid" if it is damaged, incomplete or followed by other bytes.
[[nodiscard]] std::string inflated(std::string const& gzip);

} // namespace seedbed::test
