#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/service/service_notify.hpp"

namespace seedbed {

/// Feeds the service manager's watchdog twice per timeout, unless something hangs; logs each hang once.
///
/// Threads: confined to the one that runs the io_context, which proves that this thread does not hang.
class watchdog {
public:
    using clock = std::chrono::steady_clock;
    /// \param limit the manager's timeout. \return the part that has made no progress for that long, one line; or
    /// empty.
    using hang_finder = std::function<std::string(clock::duration limit)>;

    /// \param probe is called after each look: it requests the signs of life that the next look evaluates.
    watchdog(boost::asio::io_context& main, service_notify& manager, hang_finder find_hang,
             std::function<void()> probe);

    /// Does nothing if the manager does not watch this process.
    void start();
    void stop();

private:
    void look();

    service_notify& m_manager;
    hang_finder const m_find_hang;
    std::function<void()> const m_probe;
    boost::asio::steady_timer m_timer;
    bool m_reported = false; ///< the current hang has been logged
};

} // namespace seedbed
