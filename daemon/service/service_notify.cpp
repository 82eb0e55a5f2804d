#include "daemon/service/service_notify.hpp"

#include <cstdint>
#include <ctime>
#include <system_error>

#include <systemd/sd-daemon.h>

#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

void warn(std::string what, int negative_errno) {
    log_warning({}, what.append(": ").append(std::generic_category().message(-negative_errno)).append(", ignoring"));
}

/// Replaces newlines, which would start another assignment.
[[nodiscard]] std::string status_assignment(std::string text) {
    for (auto& c : text) {
        if (c == '\n') {
            c = ' ';
        }
    }
    return "STATUS=" + text;
}

/// CLOCK_MONOTONIC, which the manager compares with its own reading; the standard does not specify the clock of
/// std::chrono::steady_clock.
[[nodiscard]] std::int64_t monotonic_microseconds() noexcept {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

} // namespace

service_notify::service_notify() {
    std::uint64_t microseconds = 0;
    auto const result = sd_watchdog_enabled(0, &microseconds);
    if (result > 0) {
        m_watchdog = std::chrono::microseconds(static_cast<std::int64_t>(microseconds));
    } else if (result < 0) {
        warn("the service manager's watchdog", result);
    }
}

void service_notify::ready(std::string const& status) {
    m_status = status;
    send("READY=1\n" + status_assignment(status));
}

void service_notify::status(std::string const& text) {
    if (text == m_status) {
        return;
    }
    m_status = text;
    send(status_assignment(text));
}

void service_notify::reloading() {
    send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(monotonic_microseconds()));
}

void service_notify::stopping(std::string const& status) {
    m_status = status;
    send("STOPPING=1\n" + status_assignment(status));
}

void service_notify::feed_watchdog() {
    send("WATCHDOG=1");
}

void service_notify::send(std::string const& state) {
    auto const result = sd_notify(0, state.c_str());
    if (result < 0 && !m_warned) {
        m_warned = true;
        warn("notifying the service manager", result);
    }
}

} // namespace seedbed
