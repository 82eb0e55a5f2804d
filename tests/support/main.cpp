#define CATCH_CONFIG_MAIN // the main() of every unit-test program
#if defined(__GNUC__) && !defined(__clang__)
// With -fsanitize=address, GCC 12 mistakes what std::regex moves in Catch2 for uninitialised (GCC bug 105616).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <catch2/catch.hpp>
