#pragma once

#include <string>

namespace seedbed {

/// The program's version, for example "0.1.0".
[[nodiscard]] std::string program_version();
/// The program's name in HTTP and BitTorrent, for example "Seedbed/0.1.0".
[[nodiscard]] std::string user_agent();

} // namespace seedbed
