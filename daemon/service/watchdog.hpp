#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/service/service_notify.hpp"

namespace seedbed {

/// Feeds the service manager's watchdog twice in its timeout, unless something hangs; then logs what, once a hang.
///
/// Threads: confined to the one that runs the io_context, which thereby proves that it does not hang itself.
class watchdog {
public:
    using clock = std::chrono::steady_clock;
    /// \param limit the manager's timeout. \return what has made no progress for that long, one line; or empty.
    using hang_finder = std::function<std::string(clock::duration limit)>;

    /// \param probe is called after each look: asks for the signs of life that the next look judges.
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
    bool m_reported = false; ///< the present hang
};

} // namespace seedbed
