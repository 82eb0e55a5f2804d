#pragma once

#include <ctime>

namespace seedbed::test {

/// How much slower sanitizers, or the lack of optimisation, make a program.
#if defined(__has_feature) // of clang
#define SEEDBED_HAS_FEATURE(x) __has_feature(x)
#else
#define SEEDBED_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || SEEDBED_HAS_FEATURE(thread_sanitizer)
inline constexpr double slowdown = 16;
#elif defined(__SANITIZE_ADDRESS__) || SEEDBED_HAS_FEATURE(address_sanitizer) || !defined(__OPTIMIZE__)
inline constexpr double slowdown = 8;
#else
inline constexpr double slowdown = 1;
#endif
#undef SEEDBED_HAS_FEATURE

/// Calls \p work with 0 to \p times - 1. \return seconds of the processor for each call, as of a build with
/// optimisation and without sanitizers. Does not depend on other programs.
template <class Work>
double cpu_seconds_of(int times, Work work) {
    auto const begin = std::clock();
    for (int i = 0; i < times; ++i) {
        work(i);
    }
    return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC / times / slowdown;
}

} // namespace seedbed::test
