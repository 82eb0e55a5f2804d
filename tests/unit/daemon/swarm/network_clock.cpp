#include "daemon/swarm/network_clock.hpp"

#include <chrono>

#include <dlfcn.h>

#include <catch2/catch.hpp>

#include "core/foundation/wall_clock.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("libtorrent's clock is the program's, which begins with the time of day") {
    use_steady_network_clock();
    // As the dynamic linker resolves it for libtorrent.
    auto* const found = ::dlsym(RTLD_DEFAULT, "_ZNSt6chrono3_V212system_clock3nowEv");
    REQUIRE(found != nullptr);
    ::Dl_info clock{};
    ::Dl_info program{};
    static int const of_the_program = 0;
    REQUIRE(::dladdr(found, &clock) != 0);
    REQUIRE(::dladdr(&of_the_program, &program) != 0);
    CHECK(clock.dli_fbase == program.dli_fbase);
    CHECK(std::chrono::abs(std::chrono::system_clock::now() - wall_clock_now()) < 1h);
}
