#define CATCH_CONFIG_MAIN
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 with -fsanitize=address takes std::regex, which the test framework uses, for uninitialised (GCC bug 105562).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <catch2/catch.hpp>
