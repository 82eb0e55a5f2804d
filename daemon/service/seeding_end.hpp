#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace seedbed {

/// How long a deployment that is done goes on to serve others: until the first of these is reached; where there is
/// none, not at all.
struct seeding_rules {
    std::optional<std::chrono::milliseconds> time;
    std::optional<std::chrono::milliseconds> idle; ///< nothing was sent for so long
    std::optional<double> ratio;                   ///< bytes sent for each byte of the image
};

/// Tells when the end is reached.
class seeding_end {
public:
    using clock = std::chrono::steady_clock;

    /// \param began when it was done. \param uploaded bytes sent by then, which count for the ratio.
    seeding_end(seeding_rules const& rules, clock::time_point began, std::int64_t uploaded)
        : m_rules(rules)
        , m_began(began)
        , m_last_sent(began)
        , m_uploaded(uploaded) {}

    /// To be asked now and then. \param uploaded bytes sent since the image was opened. \param image its bytes.
    [[nodiscard]] bool reached(clock::time_point now, std::int64_t uploaded, std::int64_t image) {
        if (uploaded != m_uploaded) {
            m_uploaded = uploaded;
            m_last_sent = now;
        }
        auto const enough =
            m_rules.ratio && static_cast<double>(uploaded) >= *m_rules.ratio * static_cast<double>(image);
        auto const late = m_rules.time && now - m_began >= *m_rules.time;
        auto const idle = m_rules.idle && now - m_last_sent >= *m_rules.idle;
        return enough || late || idle || (!m_rules.time && !m_rules.idle && !m_rules.ratio);
    }

private:
    seeding_rules const m_rules;
    clock::time_point const m_began;
    clock::time_point m_last_sent;
    std::int64_t m_uploaded;
};

} // namespace seedbed
