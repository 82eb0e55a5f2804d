#include "daemon/fleet/fleet_status.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "daemon/text/quantity_text.hpp"

namespace seedbed {

char const* to_string(host_state state) noexcept {
    switch (state) {
    case host_state::fetching:
        return "fetching";
    case host_state::unverified:
        return "unverified";
    case host_state::pieces:
        return "pieces";
    case host_state::durable:
        return "durable";
    case host_state::verified:
        return "verified";
    case host_state::failed:
        return "failed";
    case host_state::refused:
        return "refused";
    case host_state::stopped:
        return "stopped";
    }
    return "?";
}

bool is_complete(host_state state) noexcept {
    return state == host_state::pieces || state == host_state::durable || state == host_state::verified;
}

std::size_t fleet_status::count(host_state state) const {
    return static_cast<std::size_t>(std::ranges::count(hosts, state, &fleet_host::state));
}

std::vector<fleet_host const*> fleet_status::stragglers() const {
    std::vector<fleet_host const*> behind;
    for (auto const& each : hosts) {
        if (each.expected && !is_complete(each.state)) {
            behind.push_back(&each);
        }
    }
    std::ranges::stable_sort(behind, {}, [](fleet_host const* each) {
        auto const moves = each->state != host_state::failed && each->state != host_state::refused &&
                           each->state != host_state::stopped;
        return std::pair(moves, each->fraction.value_or(0));
    });
    return behind;
}

std::string fleet_count(fleet_status const& status) {
    return status.expected ? fmt::format("{}/{}", status.complete, *status.expected)
                           : fmt::format("{}", status.complete);
}

std::string describe(fleet_host const& host) {
    auto const share = host.fraction.value_or(0);
    if (host.state == host_state::failed) {
        return "failed: " + host.failure;
    }
    if (host.state == host_state::refused) {
        return "refused: " + host.failure;
    }
    if (host.state == host_state::unverified || (host.state == host_state::stopped && share >= 1)) {
        return host.state == host_state::stopped ? "has all pieces, stopped before it was verified"
                                                 : "has all pieces, not verified yet";
    }
    auto text = format_percent(share);
    if (host.state == host_state::stopped) {
        return fmt::format("{}, stopped {} ago", text, format_duration(host.stopped_seconds.value_or(0)));
    }
    if (host.away_seconds && host.rate <= 0) {
        return fmt::format("{}, not connected for {}", text, format_duration(*host.away_seconds));
    }
    return text + " at " + format_rate(std::llround(host.rate));
}

} // namespace seedbed
