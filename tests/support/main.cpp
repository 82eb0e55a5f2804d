#define CATCH_CONFIG_MAIN // the main() of every unit-test program
#if defined(__GNUC__) && !defined(__clang__)
// With -fsanitize=address, GCC 12 warns that objects moved by std::regex in Catch2 are uninitialised (GCC bug 105616).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <catch2/catch.hpp>
