#include "daemon/image/image_state.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

using enum image_state;

std::vector<image_state> const all{opening, checking, downloading, flushing,           verifying,
                                   seeding, failed,   closing,     image_state::closed};

/// "opening checking ...": the states that may follow.
std::string after(image_state from) {
    std::string text;
    for (auto const to : all) {
        text += is_legal(from, to) ? std::string(text.empty() ? "" : " ") + to_string(to) : "";
    }
    return text;
}

} // namespace

TEST_CASE("only an image that is flushed, or was complete when it was opened, is seeded") {
    std::vector<image_state> before;
    for (auto const from : all) {
        if (is_legal(from, seeding)) {
            before.push_back(from);
        }
    }
    CHECK(before == std::vector{opening, flushing, verifying});
}

TEST_CASE("an image downloads only after a check, and is checked again only if it was complete") {
    CHECK(after(checking) == "downloading failed closing");
    CHECK(after(downloading) == "flushing failed closing");
    CHECK(after(opening) == "checking flushing verifying seeding failed closing");
    CHECK(after(seeding) == "checking failed closing");
}

TEST_CASE("an image can fail and be closed at any time until it has ended, and can then only become closed") {
    for (auto const state : all) {
        CAPTURE(to_string(state));
        CHECK(is_legal(state, failed) == !has_ended(state));
        CHECK(is_legal(state, closing) == !has_ended(state));
        CHECK_FALSE(is_legal(state, opening));
        CHECK_FALSE(is_legal(state, state));
    }
    CHECK(after(failed) == "closed");
    CHECK(after(closing) == "closed");
    CHECK(after(image_state::closed).empty());
}
