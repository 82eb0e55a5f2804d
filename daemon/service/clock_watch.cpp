#include "daemon/service/clock_watch.hpp"

#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include <sys/timerfd.h>
#include <unistd.h>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

std::string clock_step_message(std::chrono::nanoseconds step) {
    using namespace std::chrono_literals;
    auto const size = std::chrono::abs(step);
    if (size < 1s) {
        return {};
    }
    return fmt::format("the system clock was set {} by {}; transfers and timers are not affected",
                       step.count() < 0 ? "back" : "forward", format_duration(size));
}

clock_watch::clock_watch(boost::asio::io_context& main, wall_clock wall)
    : m_wall(std::move(wall))
    , m_timer(main) {}

void clock_watch::start() {
    m_offset = offset();
    unique_fd fd(::timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC));
    boost::system::error_code ec;
    if (fd) {
        m_timer.assign(fd.get(), ec);
    }
    if (!fd || ec) {
        log_debug({}, "steps of the system clock are not logged: " + errno_name(fd ? ec.value() : errno));
        return;
    }
    static_cast<void>(fd.release()); // m_timer owns it now
    arm();
}

void clock_watch::stop() {
    boost::system::error_code ignored; // closed in any case
    m_timer.close(ignored);
}

void clock_watch::arm() {
    ::itimerspec never{};
    never.it_value.tv_sec = std::numeric_limits<time_t>::max() / 1'000'000'000; // centuries from now
    // Even if this fails with ECANCELED, because the clock was set meanwhile, the timer is armed (timerfd_create(2)).
    if (::timerfd_settime(m_timer.native_handle(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, nullptr) != 0 &&
        errno != ECANCELED) {
        log_debug({}, "steps of the system clock are no longer logged: " + errno_name(errno));
        return;
    }
    m_timer.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code const& ec) {
        if (!ec) {
            on_event();
        }
    });
}

void clock_watch::on_event() {
    std::uint64_t expirations = 0;
    auto const count = ::read(m_timer.native_handle(), &expirations, sizeof expirations);
    if (count < 0 && errno == ECANCELED) {
        auto const now = offset();
        if (auto const message = clock_step_message(now - std::exchange(m_offset, now)); !message.empty()) {
            log_warning({}, message);
        }
    }
    arm();
}

std::chrono::nanoseconds clock_watch::offset() const {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(m_wall().time_since_epoch()) -
           std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

} // namespace seedbed
