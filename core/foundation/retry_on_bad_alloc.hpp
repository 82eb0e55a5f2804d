#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace seedbed {

/// Calls \p call, and again every millisecond for as long as it throws std::bad_alloc: for work that must not be lost,
/// on a thread that cannot report a failure. \p call must have no effect if it throws std::bad_alloc.
template <class Call>
void retry_on_bad_alloc(Call const& call) {
    for (;;) {
        try {
            call();
            return;
        } catch (std::bad_alloc const&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

} // namespace seedbed
