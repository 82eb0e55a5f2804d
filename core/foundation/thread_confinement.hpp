#pragma once

#include <atomic>
#include <cassert>
#include <thread>

namespace seedbed {

/// Asserts, in development builds, that an object is used on one thread only: the first one that calls check(). Costs
/// nothing where assertions are off.
class thread_confinement {
public:
    void check() const noexcept {
#ifndef NDEBUG
        std::thread::id owner;
        auto const self = std::this_thread::get_id();
        assert(m_owner.compare_exchange_strong(owner, self) || owner == self);
#endif
    }

#ifndef NDEBUG
private:
    mutable std::atomic<std::thread::id> m_owner{};
#endif
};

} // namespace seedbed
