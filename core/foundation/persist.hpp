#pragma once

#include <chrono>
#include <new>
#include <thread>

namespace seedbed {

/// Calls \p what until there is memory for it: for what must not be lost on a thread that can tell nobody. It must have
/// done nothing where it throws std::bad_alloc.
template <class Call>
void persist(Call const& what) {
    for (;;) {
        try {
            what();
            return;
        } catch (std::bad_alloc const&) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

} // namespace seedbed
