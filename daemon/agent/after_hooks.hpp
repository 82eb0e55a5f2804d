#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// The programs in a folder: regular files that may be executed, by the bytes of their names; not those that start with
/// a dot or end with "~". The error is one line.
[[nodiscard]] result<std::vector<std::filesystem::path>> list_hooks(std::filesystem::path const& folder);

/// Whether the programs that run_hooks() needs, env(1) and timeout(1), are installed.
[[nodiscard]] result<void> check_can_run_hooks();

/// Runs programs one after the other, each with \p environment in addition and for at most \p limit. The first that
/// fails ends the series.
///
/// \param begin is called before each, with its name. \return one line on the failure. Threads: any; blocks.
[[nodiscard]] result<void> run_hooks(std::vector<std::filesystem::path> const& hooks,
                                     std::vector<std::string> const& environment, std::chrono::seconds limit,
                                     std::function<void(std::string const&)> const& begin);

} // namespace seedbed
