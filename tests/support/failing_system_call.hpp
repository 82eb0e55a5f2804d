#pragma once

#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace seedbed::test {

/// Why system calls can not be made to fail here (a kernel without seccomp filters), or nothing where they can.
[[nodiscard]] std::optional<std::string> seccomp_missing();

/// Makes the calling thread's system calls of these numbers (SYS_...) fail with \p code, for the rest of its life.
/// Throws std::system_error where the kernel refuses.
void fail_system_calls_of_this_thread(std::vector<long> const& numbers, int code);

/// What \p work returns, run on a thread of its own on which the system calls of these numbers fail with \p code. Every
/// other thread is left alone.
///
/// The work must use no macros of the test framework: what they throw would leave the thread.
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

/// Ends a test case, printing why, where system calls can not be made to fail.
#define SEEDBED_REQUIRE_SECCOMP()                                                                                      \
    do {                                                                                                               \
        if (auto const reason = ::seedbed::test::seccomp_missing()) {                                                  \
            WARN("SKIPPED: " << *reason);                                                                              \
            return;                                                                                                    \
        }                                                                                                              \
    } while (false)
