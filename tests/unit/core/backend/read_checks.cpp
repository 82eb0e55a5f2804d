#include "core/backend/read_checks.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "support/failing_allocation.hpp"

using namespace seedbed;
using answer = read_checks::answer;
using outcome = read_checks::outcome;

namespace {

constexpr piece_index operator""_p(unsigned long long number) {
    return piece_index{static_cast<std::int32_t>(number)};
}

} // namespace

TEST_CASE("read_checks: a read waits until its piece has been hashed") {
    read_checks checks(4, 2, 2);
    block_waiter first;
    block_waiter second;
    CHECK(checks.look_up(1_p) == answer::wait);
    checks.hold(1_p, first);
    CHECK(checks.next() == 1_p);
    CHECK(checks.look_up(1_p) == answer::wait);
    checks.hold(1_p, second);
    CHECK(checks.next() == std::nullopt); // each piece once
    auto held = checks.ended(1_p, outcome::good);
    CHECK(held.pop() == &first);
    CHECK(held.pop() == &second);
    CHECK(held.empty());
    CHECK(checks.look_up(1_p) == answer::pass);
    CHECK(checks.next() == std::nullopt);
}

TEST_CASE("read_checks: a piece that differs stays so, one that could not be hashed is hashed again") {
    read_checks checks(4, 2, 2);
    for (auto const how : {outcome::differs, outcome::failed}) {
        auto const piece = how == outcome::differs ? 0_p : 1_p;
        CHECK(checks.look_up(piece) == answer::wait);
        CHECK(checks.next() == piece);
        CHECK(checks.ended(piece, how).empty());
    }
    CHECK(checks.look_up(0_p) == answer::differs);
    CHECK(checks.next() == std::nullopt);
    CHECK(checks.look_up(1_p) == answer::wait);
    CHECK(checks.next() == 1_p);
}

TEST_CASE("read_checks: so many pieces are hashed at the same time, those with reads first") {
    read_checks checks(8, 2, 8);
    for (auto const piece : {0_p, 1_p, 2_p, 1_p}) {
        checks.expect(piece);
    }
    CHECK(checks.look_up(5_p) == answer::wait);
    CHECK(checks.look_up(2_p) == answer::wait);
    CHECK(checks.next() == 5_p);
    CHECK(checks.next() == 2_p);
    CHECK(checks.next() == std::nullopt);
    static_cast<void>(checks.ended(5_p, outcome::good));
    CHECK(checks.next() == 0_p);
    static_cast<void>(checks.ended(2_p, outcome::good));
    static_cast<void>(checks.ended(0_p, outcome::good));
    checks.expect(5_p);
    CHECK(checks.next() == 1_p);
    CHECK(checks.next() == std::nullopt);
}

TEST_CASE("read_checks: a peer that wants a little of each piece does not delay all others") {
    read_checks checks(100, 1, 1);
    std::array<block_waiter, 100> little;
    std::array<block_waiter, 3> whole;
    for (std::int32_t piece = 0; piece < 99; ++piece) {
        REQUIRE(checks.look_up(piece_index{piece}) == answer::wait);
        checks.hold(piece_index{piece}, little[static_cast<std::size_t>(piece)]);
    }
    for (auto& read : whole) {
        REQUIRE(checks.look_up(99_p) == answer::wait);
        checks.hold(99_p, read);
    }
    std::vector<piece_index> order;
    for (auto next = checks.next(); next; next = checks.next()) {
        order.push_back(*next);
        static_cast<void>(checks.ended(*next, outcome::good));
    }
    REQUIRE(order.size() == 100);
    CHECK(order[0] == 0_p);
    CHECK(order[1] == 99_p);
    CHECK(order[2] == 1_p); // and none waits for ever
}

TEST_CASE("read_checks: so many pieces are hashed before the first read of them") {
    read_checks checks(8, 8, 2);
    for (auto const piece : {0_p, 1_p, 2_p, 3_p, 4_p}) {
        checks.expect(piece);
    }
    CHECK(checks.next() == 0_p);
    CHECK(checks.next() == 1_p);
    CHECK(checks.next() == std::nullopt);
    static_cast<void>(checks.ended(0_p, outcome::good));
    CHECK(checks.next() == std::nullopt);
    CHECK(checks.look_up(0_p) == answer::pass);
    CHECK(checks.next() == 2_p);
    CHECK(checks.look_up(0_p) == answer::pass); // counts once
    CHECK(checks.next() == std::nullopt);
    // A read of another piece shows that what was hashed ahead may not be read.
    CHECK(checks.look_up(6_p) == answer::wait);
    CHECK(checks.next() == 6_p);
    CHECK(checks.next() == 3_p);
    CHECK(checks.next() == std::nullopt);
    static_cast<void>(checks.ended(2_p, GENERATE(outcome::failed, outcome::differs)));
    CHECK(checks.next() == 4_p);
}

TEST_CASE("read_checks: after a stop, only reads start anything") {
    read_checks checks(8, 1, 8);
    std::array<block_waiter, 2> reads;
    checks.expect(0_p);
    checks.expect(1_p);
    CHECK(checks.look_up(2_p) == answer::wait);
    checks.hold(2_p, reads[0]);
    CHECK(checks.look_up(3_p) == answer::wait);
    checks.hold(3_p, reads[1]);
    CHECK(checks.next() == 2_p);
    auto held = checks.stop();
    for (int i = 0; i < 2; ++i) {
        REQUIRE_FALSE(held.empty());
        static_cast<void>(held.pop());
    }
    CHECK(held.empty());
    CHECK(checks.ended(2_p, outcome::good).empty());
    CHECK(checks.next() == std::nullopt);
    CHECK(checks.look_up(2_p) == answer::pass);
    CHECK(checks.look_up(3_p) == answer::wait);
    CHECK(checks.next() == 3_p);
}

TEST_CASE("read_checks: a call that finds no memory changes nothing") {
    constexpr std::int32_t all = 600;
    std::vector<piece_index> wanted; // the order without a failure
    bool failed = true;
    for (std::int64_t nth = -1; failed; ++nth) { // each of the allocations; none in the first round
        CAPTURE(nth);
        read_checks checks(all, 1, all);
        std::vector<block_waiter> reads(all / 4);
        std::vector<piece_index> order;
        order.reserve(all);
        std::size_t held = 0;
        std::optional<test::failing_allocations> failing;
        std::thread([&] { failing.emplace(nth, nth < 0 ? 0 : 1); }).join(); // so that they fail on this thread, too
        auto const again = [](auto const& call) {
            try {
                return call();
            } catch (std::bad_alloc const&) {
                return call();
            }
        };
        for (std::int32_t piece = 0; piece < all; ++piece) {
            again([&] { checks.expect(piece_index{piece}); });
        }
        for (auto& read : reads) {
            piece_index const piece{static_cast<std::int32_t>(&read - reads.data()) * 4};
            static_cast<void>(again([&] { return checks.look_up(piece); }));
            again([&] { checks.hold(piece, read); });
        }
        while (auto const piece = again([&] { return checks.next(); })) {
            order.push_back(*piece);
            for (auto ended = checks.ended(*piece, outcome::good); !ended.empty(); ++held) {
                static_cast<void>(ended.pop());
            }
        }
        failed = failing->failed() > 0 || nth < 0;
        failing.reset();
        if (nth < 0) {
            wanted = order;
        }
        CHECK(order.size() == all);
        CHECK(order == wanted);
        CHECK(held == reads.size());
    }
}
