#include "daemon/agent/report_repeater.hpp"

#include <utility>

namespace seedbed {

report_repeater::report_repeater(sender send, std::chrono::milliseconds pause)
    : m_send(std::move(send))
    , m_pause(pause)
    , m_thread([this] { run(); }) {}

report_repeater::~report_repeater() {
    {
        std::lock_guard const lock(m_mutex);
        m_stopping = true;
    }
    m_changed.notify_one();
    m_thread.join();
}

void report_repeater::set(job_report said) {
    {
        std::lock_guard const lock(m_mutex);
        m_said = std::move(said);
        m_is_new = true;
    }
    m_changed.notify_one();
}

void report_repeater::run() {
    std::unique_lock lock(m_mutex);
    while (!m_stopping) {
        if (m_said) {
            auto const said = *m_said;
            m_is_new = false;
            lock.unlock();
            m_send(said);
            lock.lock();
        }
        m_changed.wait_for(lock, m_pause, [this] { return m_stopping || m_is_new; });
    }
}

} // namespace seedbed
