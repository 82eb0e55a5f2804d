#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace seedbed {

/// Notifies the service manager through sd_notify(3). Does nothing if NOTIFY_SOCKET is not set; a notification that
/// cannot be sent is logged once as a warning and otherwise ignored. A newline in a status becomes a space, because it
/// would end the assignment.
///
/// Threads: confined to one, the main thread.
class service_notify {
public:
    service_notify();

    /// Sends READY=1 with a first status.
    void ready(std::string const& status);
    /// Sends STATUS=, if it differs from the last one.
    void status(std::string const& text);
    /// Sends RELOADING=1 with MONOTONIC_USEC; ready() ends it.
    void reloading();
    /// Sends STOPPING=1 with a last status.
    void stopping(std::string const& status);
    /// Sends WATCHDOG=1.
    void feed_watchdog();

    /// How long the manager waits for feed_watchdog() before it kills the service; nothing if it does not watch this
    /// process.
    [[nodiscard]] std::optional<std::chrono::microseconds> watchdog_timeout() const noexcept { return m_watchdog; }

private:
    void send(std::string const& state);

    std::optional<std::chrono::microseconds> m_watchdog;
    std::string m_status;
    bool m_warned = false;
};

} // namespace seedbed
