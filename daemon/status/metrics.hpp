#pragma once

#include <string>

#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// The content type of to_metrics().
inline constexpr char const* metrics_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// Writes a snapshot in Prometheus' text format 0.0.4, names and units by its conventions
/// (https://prometheus.io/docs/practices/naming/): base units, "_total" behind counters and nothing else, no rates,
/// which PromQL makes of counters. An image's counters begin at 0 when it is opened, as those of a process that is
/// started again. Pure. Threads: any.
[[nodiscard]] std::string to_metrics(status_snapshot const& snapshot);

} // namespace seedbed
