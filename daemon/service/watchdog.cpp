#include "daemon/service/watchdog.hpp"

#include <utility>

#include "daemon/log/logging.hpp"

namespace seedbed {

watchdog::watchdog(boost::asio::io_context& main, service_notify& manager, hang_finder find_hang,
                   std::function<void()> probe)
    : m_manager(manager)
    , m_find_hang(std::move(find_hang))
    , m_probe(std::move(probe))
    , m_timer(main) {}

void watchdog::start() {
    auto const timeout = m_manager.watchdog_timeout();
    if (!timeout) {
        return;
    }
    m_timer.expires_after(*timeout / 2);
    m_timer.async_wait([this](boost::system::error_code const& ec) {
        if (!ec) {
            look();
            start();
        }
    });
}

void watchdog::stop() {
    m_timer.cancel();
}

void watchdog::look() {
    auto const hang = m_find_hang(*m_manager.watchdog_timeout());
    if (hang.empty()) {
        m_manager.feed_watchdog();
        m_reported = false;
    } else if (!std::exchange(m_reported, true)) {
        log_error({}, hang + "; the watchdog is not fed");
    }
    m_probe();
}

} // namespace seedbed
