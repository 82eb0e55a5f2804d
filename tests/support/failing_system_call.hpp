#pragma once

#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace seedbed::test {

/// The reason why system calls cannot be made to fail here (a kernel without seccomp filters), or nothing if they can.
[[nodiscard]] std::optional<std::string> seccomp_missing();

/// Makes the calling thread's system calls of these numbers (SYS_...) fail with \p code until the thread ends.
/// Throws std::system_error if the kernel refuses.
void fail_system_calls_of_this_thread(std::vector<long> const& numbers, int code);

/// Runs \p work on a separate thread, on which the system calls of these numbers fail with \p code, and returns its
/// result. Other threads are not affected.
///
/// \p work must not use macros of the test framework, whose exceptions would leave the thread.
template <class Work>
auto with_failing_system_calls(std::vector<long> const& numbers, int code, Work work) {
    std::optional<decltype(work())> outcome;
    std::exception_ptr failure;
    std::thread([&] {
        try {
            fail_system_calls_of_this_thread(numbers, code);
            outcome.emplace(work());
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure) {
        std::rethrow_exception(failure);
    }
    return std::move(*outcome);
}

} // namespace seedbed::test

/// Ends a test case and prints the reason if system calls cannot be made to fail.
#define SEEDBED_REQUIRE_SECCOMP()                                                                                      \
    do {                                                                                                               \
        if (auto const reason = ::seedbed::test::seccomp_missing()) {                                                  \
            WARN("SKIPPED: " << *reason);                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
    } while (false)
