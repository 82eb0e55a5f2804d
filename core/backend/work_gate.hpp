#pragma once

#include <mutex>
#include <shared_mutex>

namespace seedbed {

/// Lets queued work use its object until the object closes the gate; closing waits for the work that is inside. Both
/// the object and each piece of work hold it by shared_ptr, so that it outlives them.
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
