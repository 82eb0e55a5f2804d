#include "daemon/machine/job_state.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace seedbed {

namespace {

constexpr std::array all_job_states{job_state::waiting, job_state::running, job_state::done, job_state::refused,
                                    job_state::failed};

/// The legal transitions.
constexpr std::array<std::pair<job_state, job_state>, 4> transitions{{
    {job_state::waiting, job_state::running},
    {job_state::running, job_state::done},
    {job_state::running, job_state::refused},
    {job_state::running, job_state::failed},
}};

} // namespace

char const* to_string(job_state state) noexcept {
    switch (state) {
    case job_state::waiting:
        return "waiting";
    case job_state::running:
        return "running";
    case job_state::done:
        return "done";
    case job_state::refused:
        return "refused";
    case job_state::failed:
        return "failed";
    }
    return "unknown";
}

std::optional<job_state> parse_job_state(std::string_view text) noexcept {
    auto const* const found =
        std::ranges::find(all_job_states, text, [](auto state) -> std::string_view { return to_string(state); });
    return found != all_job_states.end() ? std::optional(*found) : std::nullopt;
}

bool may_become(job_state from, job_state to) noexcept {
    return std::ranges::find(transitions, std::pair(from, to)) != transitions.end();
}

bool is_final(job_state state) noexcept {
    return std::ranges::none_of(transitions, [state](auto const& each) { return each.first == state; });
}

} // namespace seedbed
