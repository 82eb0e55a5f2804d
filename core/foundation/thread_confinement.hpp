#pragma once

#include <atomic>
#include <cassert>
#include <thread>

namespace seedbed {

/// Asserts, in development builds, that an object is used on one thread only: the thread that calls check() first.
/// Costs nothing if assertions are disabled.
class thread_confinement {
public:
    thread_confinement() noexcept {} // NOLINT(modernize-use-equals-default): const objects of an empty class need it

    void check() const noexcept { assert(on_owner() && "an object confined to one thread is used on another"); }

#ifndef NDEBUG
    /// Whether this is the thread of the first call; the current call may be that one.
    [[nodiscard]] bool on_owner() const noexcept {
        std::thread::id owner;
        auto const self = std::this_thread::get_id();
        return m_owner.compare_exchange_strong(owner, self) || owner == self;
    }

private:
    mutable std::atomic<std::thread::id> m_owner{};
#endif
};

} // namespace seedbed
