#include "core/foundation/worker_pool.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <utility>

#include <pthread.h>

namespace seedbed {

worker_pool::worker_pool(std::string name, int threads)
    : m_name(std::move(name))
    , m_wanted(std::max(threads, 1)) {
    m_name.resize(std::min<std::size_t>(m_name.size(), 15)); // pthread_setname_np(3)
    std::scoped_lock const lock(m_mutex);
    adjust_threads_locked();
}

worker_pool::~worker_pool() {
    std::list<std::thread> all;
    {
        std::unique_lock lock(m_mutex);
        m_stop = true;
        m_work.notify_all();
        m_ended.wait(lock, [this] { return m_live == 0; });
        all.splice(all.end(), m_finished);
    }
    for (auto& thread : all) {
        thread.join();
    }
}

void worker_pool::submit(job work) {
    std::scoped_lock const lock(m_mutex);
    if (m_jobs.empty() && m_running == 0) {
        m_last_progress = std::chrono::steady_clock::now();
    }
    m_jobs.push_back(std::move(work));
    m_work.notify_one();
}

void worker_pool::set_threads(int threads) {
    std::list<std::thread> finished;
    {
        std::scoped_lock const lock(m_mutex);
        m_wanted = std::max(threads, 1);
        adjust_threads_locked();
        finished.splice(finished.end(), m_finished);
    }
    for (auto& thread : finished) {
        thread.join();
    }
}

void worker_pool::lend_thread() {
    std::list<std::thread> finished;
    {
        std::scoped_lock const lock(m_mutex);
        ++m_lent;
        adjust_threads_locked();
        finished.splice(finished.end(), m_finished); // those lent earlier
    }
    for (auto& thread : finished) {
        thread.join();
    }
}

void worker_pool::return_thread() {
    std::scoped_lock const lock(m_mutex);
    --m_lent;
    m_work.notify_all(); // an idle thread ends
}

int worker_pool::threads() const {
    std::scoped_lock const lock(m_mutex);
    return m_wanted;
}

worker_pool::progress worker_pool::current_progress() const {
    std::scoped_lock const lock(m_mutex);
    auto const pending = m_jobs.size() + m_running;
    return {m_completed, pending, pending == 0 ? std::chrono::steady_clock::now() : m_last_progress};
}

void worker_pool::adjust_threads_locked() {
    while (m_live < most_locked()) {
        auto self = m_threads.end();
        try {
            self = m_threads.emplace(m_threads.end());
            *self = std::thread([this, self] { run(self); });
        } catch (std::exception const&) { // std::system_error, or std::bad_alloc
            if (self != m_threads.end()) {
                m_threads.erase(self);
            }
            if (m_live == 0) {
                throw;
            }
            break;
        }
        static_cast<void>(pthread_setname_np(self->native_handle(), m_name.c_str()));
        ++m_live;
    }
    m_work.notify_all();
}

void worker_pool::run(std::list<std::thread>::iterator self) {
    std::unique_lock lock(m_mutex);
    for (;;) {
        m_work.wait(lock, [this] { return !m_jobs.empty() || m_stop || m_live > most_locked(); });
        if (m_live > most_locked() || (m_stop && m_jobs.empty())) {
            break;
        }
        auto work = std::move(m_jobs.front());
        m_jobs.pop_front();
        ++m_running;
        lock.unlock();
        work();
        work = nullptr; // release the job's resources before it counts as ended
        lock.lock();
        --m_running;
        ++m_completed;
        m_last_progress = std::chrono::steady_clock::now();
    }
    --m_live;
    m_finished.splice(m_finished.end(), m_threads, self);
    // This thread may have consumed a notification; pass it on.
    m_work.notify_one();
    m_ended.notify_all();
}

} // namespace seedbed
