#pragma once

#include <string>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// The content type of to_metrics().
inline constexpr char const* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// Formats a snapshot in Prometheus' text format 0.0.4. Names and units follow its conventions
/// (https://prometheus.io/docs/practices/naming/): base units, the suffix "_total" only for counters, no rates, as
/// PromQL derives them from counters. An image's counters start at 0 when it is opened, like those of a restarted
/// process.
/// Pure. Threads: any.
[[nodiscard]] std::string to_metrics(status_snapshot const& snapshot);

} // namespace seedbed
