#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace seedbed {

/// Calls \p call, again every millisecond until there is memory for it: for work that must not be lost, on a thread
/// that cannot report a failure. If \p call throws std::bad_alloc, it must have done nothing.
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
