#include "daemon/service/deployment.hpp"

#include <catch2/catch.hpp>

#include "daemon/service/seeding_end.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("a failure's exit status says who is to blame") {
    CHECK(exit_code_of(failure_kind::torrent) == exit_bad_torrent);
    CHECK(exit_code_of(failure_kind::guard) == exit_refused);
    CHECK(exit_code_of(failure_kind::read) == exit_device_failed);
    CHECK(exit_code_of(failure_kind::write) == exit_device_failed);
    CHECK(exit_code_of(failure_kind::flush) == exit_device_failed);
    CHECK(exit_code_of(failure_kind::verify) == exit_not_verified);
    for (auto const kind :
         {failure_kind::none, failure_kind::internal, failure_kind::download, failure_kind::content}) {
        CHECK(exit_code_of(kind) == exit_failed); // never a success
    }
}

TEST_CASE("serving others ends with the first rule that is reached") {
    seeding_end::clock::time_point const began{};
    SECTION("none: at once") {
        CHECK(seeding_end({}, began, 0).reached(began, 0, 100));
    }
    SECTION("a time") {
        seeding_end end({.time = 90s, .idle = {}, .ratio = {}}, began, 0);
        CHECK_FALSE(end.reached(began + 89s, 1000, 100));
        CHECK(end.reached(began + 90s, 1000, 100));
    }
    SECTION("nobody fetches") {
        seeding_end end({.time = {}, .idle = 15s, .ratio = {}}, began, 50);
        CHECK_FALSE(end.reached(began + 10s, 50, 100));
        CHECK_FALSE(end.reached(began + 14s, 60, 100));
        CHECK_FALSE(end.reached(began + 28s, 60, 100));
        CHECK(end.reached(began + 29s, 60, 100));
    }
    SECTION("a ratio, to which counts what was sent before") {
        seeding_end end({.time = {}, .idle = {}, .ratio = 1.5}, began, 140);
        CHECK_FALSE(end.reached(began, 149, 100));
        CHECK(end.reached(began, 150, 100));
    }
    SECTION("a ratio or a time") {
        seeding_end end({.time = 5s, .idle = {}, .ratio = 3.0}, began, 0);
        CHECK_FALSE(end.reached(began + 4s, 299, 100));
        CHECK(end.reached(began + 5s, 0, 100));
        CHECK(seeding_end({.time = 5s, .idle = {}, .ratio = 3.0}, began, 0).reached(began, 300, 100));
    }
}
