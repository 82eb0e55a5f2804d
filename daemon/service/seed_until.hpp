#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace seedbed {

/// How long a finished deployment seeds: until the first of these limits is reached; without a limit, not at all.
struct seed_limits {
    std::optional<std::chrono::milliseconds> time;
    std::optional<std::chrono::milliseconds> idle; ///< time without an upload
    std::optional<double> ratio;                   ///< uploaded bytes for each byte of the image
};

/// Determines when the first limit is reached. Pure: the caller reads the clock.
class seed_until {
public:
    using clock = std::chrono::steady_clock;

    /// \param began when seeding began. \param uploaded bytes uploaded earlier, which count towards the ratio.
    seed_until(seed_limits const& limits, clock::time_point began, std::int64_t uploaded)
        : m_limits(limits)
        , m_began(began)
        , m_last_upload(began)
        , m_uploaded(uploaded) {}

    /// Must be called periodically. \param uploaded bytes since the image was opened. \param image_size bytes.
    [[nodiscard]] bool reached(clock::time_point now, std::int64_t uploaded, std::int64_t image_size) {
        if (uploaded != m_uploaded) {
            m_uploaded = uploaded;
            m_last_upload = now;
        }
        auto const enough =
            m_limits.ratio && static_cast<double>(uploaded) >= *m_limits.ratio * static_cast<double>(image_size);
        auto const late = m_limits.time && now - m_began >= *m_limits.time;
        auto const idle = m_limits.idle && now - m_last_upload >= *m_limits.idle;
        return enough || late || idle || (!m_limits.time && !m_limits.idle && !m_limits.ratio);
    }

private:
    seed_limits const m_limits;
    clock::time_point const m_began;
    clock::time_point m_last_upload;
    std::int64_t m_uploaded;
};

} // namespace seedbed
