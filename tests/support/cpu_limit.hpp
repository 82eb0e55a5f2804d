#pragma once

#include <ctime>

namespace seedbed::test {

/// How much slower sanitizers, or the lack of optimisation, make a program.
#if defined(__SANITIZE_THREAD__)
inline constexpr double slowdown = 16;
#elif defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
inline constexpr double slowdown = 8;
#else
inline constexpr double slowdown = 1;
#endif

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
