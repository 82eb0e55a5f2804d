#pragma once

#include <atomic>
#include <cassert>
#include <thread>

namespace seedbed {

/// Asserts, in development builds, that an object is used on one thread only: the first one that calls check(). Costs
/// nothing in Release builds.
class thread_confinement {
public:
    void check() const noexcept {
#ifdef SEEDBED_ASSERTIONS
        std::thread::id owner;
        auto const self = std::this_thread::get_id();
        assert(m_owner.compare_exchange_strong(owner, self) || owner == self);
#endif
    }

#ifdef SEEDBED_ASSERTIONS
private:
    mutable std::atomic<std::thread::id> m_owner{};
#endif
};

} // namespace seedbed
