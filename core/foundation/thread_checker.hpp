#pragma once

#include <cassert>
#include <thread>

namespace seedbed {

/// Asserts that an object is used on the thread that constructed it. Costs nothing in a release build (NDEBUG).
class thread_checker {
public:
    [[nodiscard]] bool on_owner() const noexcept { return std::this_thread::get_id() == m_owner; }
    void check() const noexcept { assert(on_owner() && "an object confined to one thread is used on another"); }

private:
    std::thread::id m_owner = std::this_thread::get_id();
};

} // namespace seedbed
