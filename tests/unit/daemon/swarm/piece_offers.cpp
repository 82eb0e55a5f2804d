#include "daemon/swarm/piece_offers.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>

#include <catch2/catch.hpp>

using namespace std::chrono_literals;
using seedbed::piece_offers;
using set = std::set<int>;

namespace {

constexpr std::int64_t length = 1 << 20;

/// A seed's peers, and which pieces each of them believes to be withheld or offered.
struct swarm {
    explicit swarm(int count, int first = 0)
        : pieces(count)
        , offers({count, length, first}, [this](piece_offers::peer to, std::span<piece_offers::change const> changes) {
            for (auto const& [piece, offered] : changes) {
                CHECK((offered ? hidden[to].erase(piece) == 1 : hidden[to].insert(piece).second));
                ++told;
            }
        }) {
        offers.set_enabled(true, now);
    }

    piece_offers::peer join(bool understands = true) {
        auto const who = offers.joined();
        hidden[who].clear();
        offers.set_choked(who, false, now);
        if (understands) {
            offers.understands(who, now);
        }
        offers.set_interested(who, true, now);
        return who;
    }
    /// The pieces that the peer lacks and is offered.
    [[nodiscard]] set offered(piece_offers::peer who) {
        set found;
        for (int piece = 0; piece < pieces; ++piece) {
            if (!hidden[who].contains(piece) && !there[who].contains(piece)) {
                found.insert(piece);
            }
        }
        return found;
    }
    /// The peer has got a piece, from the seed or another peer.
    void has(piece_offers::peer who, int piece) {
        hidden[who].erase(piece);
        there[who].insert(piece);
        offers.has(who, piece, now);
    }
    /// The seed sends a piece.
    void serve(piece_offers::peer who, int piece) {
        offers.requested(who, piece, now);
        offers.sent(who, length, now);
        has(who, piece);
    }
    void pass(int seconds) {
        for (int i = 0; i < seconds; ++i) {
            now += 1s;
            offers.second_passed(now);
        }
    }

    int pieces;
    int told = 0;
    piece_offers::clock::time_point now{1h};
    std::map<piece_offers::peer, set> hidden;
    std::map<piece_offers::peer, set> there;
    piece_offers offers;
};

} // namespace

TEST_CASE("piece offers: a few new pieces are in flight, each to the peer that has the fewest unspread ones") {
    swarm t(16);
    auto const a = t.join();
    CHECK(t.offered(a) == set{0, 1}); // at most two to one peer
    auto const b = t.join();
    CHECK(t.offered(b) == set{2, 3});
    auto const c = t.join();
    CHECK(t.offered(c).empty()); // four are in flight
    t.serve(a, 0);
    CHECK(t.offered(c) == set{4}); // a has one in flight and one that it has not passed on
    t.serve(b, 2);
    CHECK(t.offered(c) == set{4, 5});
    t.serve(c, 4);
    t.has(b, 0); // from a
    CHECK(t.offered(a) == set{1, 6});
}

TEST_CASE("piece offers: a peer is given the next piece as soon as the last one is sent, before it is announced") {
    swarm t(16);
    auto const a = t.join();
    t.offers.requested(a, 0, t.now);
    t.offers.sent(a, length - 1, t.now);
    t.offers.sent(a, 1, t.now);
    CHECK(t.offered(a) == set{0, 1, 2});
}

TEST_CASE("piece offers: pieces are given in order from the first one on, and round the end") {
    swarm t(4, 3);
    auto const a = t.join();
    CHECK(t.offered(a) == set{0, 3});
    t.serve(a, 3);
    CHECK(t.offered(a) == set{0, 1});
}

TEST_CASE("piece offers: a piece that any peer has is not new") {
    swarm t(3);
    auto const a = t.offers.joined();
    t.offers.has(a, 0, t.now);
    auto const b = t.join();
    CHECK(t.offered(b) == set{1, 2});
}

TEST_CASE("piece offers: a piece is new again when its owner leaves and no peer has it") {
    swarm t(4);
    auto const a = t.join();
    auto const b = t.join();
    CHECK(t.offered(b) == set{2, 3});
    t.serve(b, 2);
    t.serve(b, 3);
    t.serve(a, 0);
    t.has(b, 0);
    t.offers.left(a, t.now);
    CHECK(t.offered(b) == set{1}); // b has the other one
    t.serve(b, 1);
    auto const c = t.join();
    CHECK(t.offered(c).empty());
    t.offers.left(b, t.now);          // the only one that had them
    CHECK(t.offered(c) == set{1, 2}); // from the last one on
}

TEST_CASE("piece offers: what a peer was given is taken back when it is choked, and given to another") {
    swarm t(2);
    auto const a = t.join();
    auto const b = t.join();
    t.offers.set_choked(a, true, t.now);
    CHECK(t.offered(a).empty());
    CHECK(t.offered(b) == set{0, 1});
}

TEST_CASE("piece offers: a peer that wants nothing and is choked for that is given pieces") {
    swarm t(8);
    auto const a = t.join();
    t.serve(a, 0);
    t.serve(a, 1);
    auto const before = t.offered(a);
    t.offers.set_interested(a, false, t.now);
    t.offers.set_choked(a, true, t.now);
    CHECK(t.offered(a) == before); // they are on their way
    for (int const piece : before) {
        t.has(a, piece);
    }
    CHECK_FALSE(t.offered(a).empty());
}

TEST_CASE("piece offers: while a peer waits for an upload slot, those that have one come first") {
    swarm t(16);
    auto const waits = t.join();
    t.offers.set_choked(waits, true, t.now);
    auto const none = t.offers.joined();
    t.hidden[none].clear();
    t.offers.understands(none, t.now); // choked and not interested
    auto const slot = t.join();
    t.serve(slot, *t.offered(slot).begin());
    CHECK(t.offered(waits).empty());
    CHECK(t.offered(slot).size() == 2);
}

TEST_CASE("piece offers: a peer that receives nothing for three seconds loses what it was given") {
    swarm t(3);
    auto const a = t.join();
    auto const b = t.join();
    CHECK(t.offered(b) == set{2});
    t.pass(2);
    t.offers.sent(b, 1, t.now);
    t.pass(2);
    CHECK(t.offered(a).empty());
    CHECK(t.offered(b) == set{0, 1, 2});
}

TEST_CASE("piece offers: with no new piece left, one that its owner does not pass on is given again") {
    swarm t(5);
    auto const a = t.join();
    auto const b = t.join();
    t.serve(a, 0);
    t.now += 100ms;
    t.has(b, 0); // passed on: the average is known
    for (int const piece : {1, 4}) {
        t.serve(a, piece);
    }
    for (int const piece : {2, 3}) {
        t.serve(b, piece);
        t.has(a, piece);
    }
    CHECK(t.offered(b).empty());
    t.pass(2);
    CHECK(t.offered(b).empty());
    t.now += 400ms;
    t.offers.set_interested(b, true, t.now);
    CHECK(t.offered(b) == set{1, 4});
}

TEST_CASE("piece offers: a peer that receives nothing is offered twice as much each time, one that does less often") {
    swarm t(40);
    auto const a = t.join();
    auto const b = t.join();
    for (int piece = 0; piece < 40; ++piece) {
        t.has(a, piece);
    }
    for (int const piece : t.offered(b)) {
        t.has(b, piece);
    }
    auto const first = t.offered(b).size();
    CHECK(first == 0);
    t.pass(1);
    t.has(b, 30);
    t.pass(1);
    CHECK(t.offered(b).empty());
    t.pass(2);
    REQUIRE(t.offered(b).size() == 1);
    t.serve(b, *t.offered(b).begin());
    t.pass(3);
    CHECK(t.offered(b).size() == 2);
}

TEST_CASE("piece offers: a waiting peer is offered nothing while the link is full") {
    swarm t(40);
    auto const a = t.join();
    auto const b = t.join();
    for (int piece = 0; piece < 40; ++piece) {
        t.has(a, piece);
    }
    for (int const piece : t.offered(b)) {
        t.has(b, piece);
    }
    auto const deaf = t.join(false);
    for (int piece = 30; piece < 40; ++piece) {
        t.offers.requested(deaf, piece, t.now);
    }
    for (int second = 0; second < 7; ++second) {
        t.offers.sent(deaf, 1, t.now);
        t.pass(1);
        CHECK(t.offered(b).empty());
    }
}

TEST_CASE("piece offers: a slow peer does not keep pieces from the others") {
    swarm t(64);
    auto const slow1 = t.join();
    auto const slow2 = t.join();
    auto const fast = t.join();
    REQUIRE(t.offered(slow1).size() + t.offered(slow2).size() == 4);
    t.offers.requested(fast, 60, t.now);
    for (int second = 0; second < 4; ++second) {
        t.offers.sent(slow1, 1000, t.now);
        t.offers.sent(slow2, 1000, t.now);
        t.offers.sent(fast, length, t.now);
        t.pass(1);
    }
    CHECK(t.offered(fast).size() >= 4);
    CHECK(t.offered(slow1).size() + t.offered(slow2).size() <= 6);
}

TEST_CASE("piece offers: a peer that does not understand owns what it requests, and is told nothing") {
    swarm t(8);
    auto const deaf = t.join(false);
    t.offers.requested(deaf, 0, t.now);
    auto const a = t.join();
    CHECK(t.offered(a) == set{1, 2});
    CHECK(t.hidden[deaf].empty());
}

TEST_CASE("piece offers: what a peer requested before it knew that it is withheld stays its own if it is new") {
    swarm t(16);
    auto const a = t.join();
    auto const b = t.join();
    auto const mine = *t.offered(a).begin();
    t.offers.requested(b, 9, t.now);
    CHECK(t.offered(b).contains(9));
    t.offers.requested(b, mine, t.now);
    CHECK_FALSE(t.offered(b).contains(mine));
    t.serve(a, mine);
    CHECK_FALSE(t.offered(a).contains(9));
}

TEST_CASE("piece offers: a seed is told nothing, whenever it turns out to be one") {
    swarm t(2);
    auto const a = t.offers.joined();
    t.offers.is_seed(a, t.now);
    t.offers.understands(a, t.now);
    t.offers.requested(a, 0, t.now);
    auto const b = t.join();
    CHECK(t.hidden[a].empty());
    CHECK(t.told == 4);
    CHECK(t.offered(b) == set{0, 1}); // though a has them: it may be leaving
}

TEST_CASE("piece offers: switched off, everything is offered; switched on, what is not in flight is withheld") {
    swarm t(16);
    auto const a = t.join();
    t.offers.set_enabled(false, t.now);
    CHECK(t.hidden[a].empty());
    t.offers.requested(a, 9, t.now);
    t.offers.set_enabled(true, t.now);
    CHECK(t.offered(a) == set{0, 1, 9});
    CHECK(t.hidden[a].size() == 13);
}

TEST_CASE("piece offers: unknown piece numbers are ignored") {
    swarm t(2);
    auto const a = t.join();
    for (int const piece : {-1, 2, 1 << 30}) {
        t.offers.requested(a, piece, t.now);
        t.offers.has(a, piece, t.now);
    }
    CHECK(t.offered(a) == set{0, 1});
}
