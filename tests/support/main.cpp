#define CATCH_CONFIG_MAIN
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 with -fsanitize=address takes what std::regex, used by Catch2, moves for uninitialised (GCC bug 105616).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <catch2/catch.hpp>
