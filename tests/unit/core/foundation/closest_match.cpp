#include "core/foundation/closest_match.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("closest match: a misspelled word") {
    std::vector<std::string> const known{"deploy", "status", "probe", "daemon"};
    CHECK(closest_match("deplyo", known) == "deploy"); // swapped letters are two edits
    CHECK(closest_match("deplo", known) == "deploy");
    CHECK(closest_match("deployy", known) == "deploy");
    CHECK(closest_match("stetus", known) == "status");
    CHECK_FALSE(closest_match("serve", known));
    CHECK_FALSE(closest_match("deploy", known)); // it is not a misspelling
    CHECK_FALSE(closest_match("", known));
    CHECK_FALSE(closest_match("deploy", {}));
}

TEST_CASE("closest match: the closest name wins, then the first") {
    CHECK(closest_match("abcde", {"abcxy", "abcdx"}) == "abcdx");
    CHECK(closest_match("abcde", {"abcdx", "abcdy"}) == "abcdx");
}

TEST_CASE("closest match: at most half of a name is replaced") {
    CHECK_FALSE(closest_match("xy", {"ab"}));
    CHECK_FALSE(closest_match("ax", {"ab"}));
    CHECK(closest_match("abx", {"abc"}) == "abc");
    CHECK_FALSE(closest_match("abxy", {"abcd"}));
    CHECK(closest_match("abcxy", {"abcde"}) == "abcde");
}

TEST_CASE("closest match: words of more than 32 characters have no match") {
    std::string const longest(32, 'a');
    CHECK(closest_match(longest, {longest + "b"}) == longest + "b");
    CHECK_FALSE(closest_match(longest + "a", {longest + "b"}));
}
