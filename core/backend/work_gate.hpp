#pragma once

#include <mutex>
#include <shared_mutex>

namespace seedbed {

/// Lets queued work reach its object until the object closes the gate; closing waits for the work that is inside. Held
/// by shared_ptr, by the object and by each piece of work, so that it outlives both.
///
/// Threads: any; the work itself must not close the gate.
class work_gate {
public:
    /// Runs \p work, or does nothing if the gate is closed.
    template <class Work>
    void enter(Work const& work) {
        std::shared_lock const lock(m_mutex);
        if (m_open) {
            work();
        }
    }
    void close() {
        std::unique_lock const lock(m_mutex);
        m_open = false;
    }

private:
    std::shared_mutex m_mutex;
    bool m_open = true;
};

} // namespace seedbed
