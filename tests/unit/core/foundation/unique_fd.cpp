#include "core/foundation/unique_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <type_traits>
#include <utility>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

int open_null() {
    int const fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    return fd;
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) != -1;
}

} // namespace

static_assert(!std::is_copy_constructible_v<unique_fd> && !std::is_copy_assignable_v<unique_fd>);
static_assert(std::is_nothrow_move_constructible_v<unique_fd> && std::is_nothrow_move_assignable_v<unique_fd>);

TEST_CASE("an empty descriptor owns nothing") {
    unique_fd const fd;
    CHECK(fd.get() == -1);
    CHECK_FALSE(fd);
}

TEST_CASE("a descriptor is closed at the end of its owner") {
    int const raw = open_null();
    {
        unique_fd const fd(raw);
        CHECK(fd.get() == raw);
        CHECK(fd);
        CHECK(is_open(raw));
    }
    CHECK_FALSE(is_open(raw));
}

TEST_CASE("descriptor 0 is like any other") {
    unique_fd fd(0);
    CHECK(fd);
    CHECK(fd.release() == 0);
}

TEST_CASE("a moved descriptor has one owner") {
    int const raw = open_null();
    unique_fd from(raw);
    {
        unique_fd const to(std::move(from));
        CHECK(to.get() == raw);
        CHECK_FALSE(from); // NOLINT(bugprone-use-after-move): its state is promised
        CHECK(is_open(raw));
    }
    CHECK_FALSE(is_open(raw));
}

TEST_CASE("assignment closes the old descriptor and takes the other") {
    int const old_raw = open_null();
    int const new_raw = open_null();
    unique_fd from(new_raw);
    unique_fd to(old_raw);
    to = std::move(from);
    CHECK_FALSE(is_open(old_raw));
    CHECK(is_open(new_raw));
    CHECK(to.get() == new_raw);
    CHECK_FALSE(from); // NOLINT(bugprone-use-after-move)
}

TEST_CASE("assignment to itself changes nothing") {
    int const raw = open_null();
    unique_fd fd(raw);
    unique_fd& same = fd;
    fd = std::move(same);
    CHECK(fd.get() == raw);
    CHECK(is_open(raw));
}

TEST_CASE("reset closes the old descriptor and takes another, or none") {
    int const first = open_null();
    int const second = open_null();
    unique_fd fd(first);
    fd.reset(second);
    CHECK_FALSE(is_open(first));
    CHECK(is_open(second));
    CHECK(fd.get() == second);
    fd.reset();
    CHECK_FALSE(is_open(second));
    CHECK_FALSE(fd);
}

TEST_CASE("release gives a descriptor up without closing it") {
    int const raw = open_null();
    {
        unique_fd fd(raw);
        CHECK(fd.release() == raw);
        CHECK_FALSE(fd);
    }
    CHECK(is_open(raw));
    REQUIRE(::close(raw) == 0);
}
