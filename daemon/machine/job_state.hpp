#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace seedbed {

/// The life of an order for one machine:
///
///     waiting -> running -> done | refused | failed
///
/// A job ends once; a new round is a new job.
enum class job_state : std::uint8_t {
    waiting, ///< for the machine to ask
    running, ///< given to the machine
    done,    ///< the image is on the disk
    refused, ///< before the first write: no disk fits, or a guard refused it
    failed
};

/// For example "waiting".
[[nodiscard]] char const* to_string(job_state state) noexcept;
/// The inverse; nothing for any other text.
[[nodiscard]] std::optional<job_state> parse_job_state(std::string_view text) noexcept;

/// Whether a job in state \p from may enter \p to. No state may enter itself.
[[nodiscard]] bool may_become(job_state from, job_state to) noexcept;
/// Whether no other state follows.
[[nodiscard]] bool is_final(job_state state) noexcept;

} // namespace seedbed
