#include "daemon/fleet/fleet_status.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/fmt/fmt.h>

namespace seedbed {

namespace {

std::string duration_text(double seconds) {
    return short_duration(
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds)));
}

} // namespace

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
        auto const moves = each->state != host_state::failed && each->state != host_state::stopped;
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
    if (host.state == host_state::unverified || (host.state == host_state::stopped && share >= 1)) {
        return host.state == host_state::stopped ? "has all pieces, stopped before it was verified"
                                                 : "has all pieces, not verified yet";
    }
    auto text = fmt::format("{} %", static_cast<int>(std::clamp(share, 0.0, 1.0) * 100));
    if (host.state == host_state::stopped) {
        return fmt::format("{}, stopped {} ago", text, duration_text(host.stopped_seconds.value_or(0)));
    }
    if (host.away_seconds && host.rate <= 0) {
        return fmt::format("{}, not connected for {}", text, duration_text(*host.away_seconds));
    }
    return fmt::format("{} at {:.1f} MiB/s", text, host.rate / (1 << 20));
}

std::string short_duration(std::chrono::steady_clock::duration time) {
    auto const whole = std::max<std::int64_t>(std::chrono::round<std::chrono::seconds>(time).count(), 0);
    if (whole < 60) {
        return fmt::format("{}s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    }
    return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
}

} // namespace seedbed
