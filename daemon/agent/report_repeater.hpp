#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "daemon/machine/machine_orders.hpp"

namespace seedbed {

/// Reports what a machine does at once, and again and again until it does something else, so that the server does not
/// take a machine for lost that runs one program for minutes.
///
/// Threads: set() from any; the destructor waits for a report that is being sent.
class report_repeater {
public:
    using sender = std::function<void(job_report const&)>;

    /// \param send is called on a thread of its own; what it cannot deliver is lost.
    report_repeater(sender send, std::chrono::milliseconds pause);
    report_repeater(report_repeater const&) = delete;
    report_repeater& operator=(report_repeater const&) = delete;
    ~report_repeater();

    /// Reports this from now on. Does not block.
    void set(job_report said);

private:
    void run();

    sender const m_send;
    std::chrono::milliseconds const m_pause;
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::optional<job_report> m_said; ///< nothing before the first set()
    bool m_is_new = false;            ///< m_said was not sent yet
    bool m_stopping = false;
    std::thread m_thread; ///< last; uses the members above
};

} // namespace seedbed
