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

TEST_CASE("piece offers: three new pieces are in flight, each to the peer that has the fewest unspread ones") {
    swarm t(16);
    auto const a = t.join();
    CHECK(t.offered(a) == set{0});
    auto const b = t.join();
    CHECK(t.offered(b) == set{1});
    auto const c = t.join();
    CHECK(t.offered(c) == set{2});
    auto const d = t.join();
    CHECK(t.offered(d).empty());
    t.serve(a, 0);
    CHECK(t.offered(a).empty()); // it has one that it has not passed on
    CHECK(t.offered(d) == set{3});
    t.has(b, 0); // from a
    t.serve(b, 1);
    CHECK(t.offered(b).empty());
    CHECK(t.offered(a) == set{4});
}

TEST_CASE("piece offers: a peer is given the next piece while the last one is sent") {
    swarm t(16);
    auto const a = t.join();
    t.offers.requested(a, 0, t.now);
    CHECK(t.offered(a) == set{0});
    t.offers.sent(a, 1, t.now);
    CHECK(t.offered(a) == set{0, 1});
    t.offers.sent(a, length - 2, t.now);
    CHECK(t.offered(a) == set{0, 1});
}

TEST_CASE("piece offers: pieces are given in order from the first one on, and wrap around") {
    swarm t(4, 3);
    auto const a = t.join();
    CHECK(t.offered(a) == set{3});
    t.serve(a, 3);
    CHECK(t.offered(a) == set{0});
}

TEST_CASE("piece offers: a piece that any peer has is not new") {
    swarm t(3);
    auto const a = t.offers.joined();
    t.offers.has(a, 0, t.now);
    auto const b = t.join();
    CHECK(t.offered(b) == set{1});
}

TEST_CASE("piece offers: a piece is new again when its owner leaves and no peer has it") {
    swarm t(4);
    auto const a = t.join();
    auto const b = t.join();
    t.serve(b, 1);
    CHECK(t.offered(b) == set{2});
    t.serve(a, 0);
    CHECK(t.offered(a) == set{3});
    t.has(b, 0);
    t.offers.left(a, t.now);
    t.serve(b, 2);
    CHECK(t.offered(b) == set{3}); // b has the other one
    t.serve(b, 3);
    auto const c = t.join();
    CHECK(t.offered(c).empty());
    t.offers.left(b, t.now);       // the only one that had them
    CHECK(t.offered(c) == set{3}); // from the last one on
}

TEST_CASE("piece offers: what a peer was given is taken back when it is choked, and given to another") {
    swarm t(2);
    auto const a = t.join();
    auto const b = t.join();
    t.offers.set_choked(a, true, t.now);
    CHECK(t.offered(a).empty());
    t.serve(b, 1);
    CHECK(t.offered(b) == set{0});
}

TEST_CASE("piece offers: a peer that wants nothing and is choked for that is given pieces") {
    swarm t(8);
    auto const a = t.join();
    t.serve(a, 0);
    t.offers.set_interested(a, false, t.now);
    t.offers.set_choked(a, true, t.now);
    CHECK(t.offered(a) == set{1}); // it is on its way
    t.has(a, 1);
    CHECK(t.offered(a) == set{2});
}

TEST_CASE("piece offers: while a peer waits for an upload slot, those that have one come first") {
    swarm t(16);
    t.offers.set_enabled(false, t.now);
    t.offers.set_choked(t.join(), true, t.now); // interested
    auto const none = t.offers.joined();
    t.hidden[none].clear();
    t.offers.understands(none, t.now); // choked and not interested
    auto const slot = t.join();
    t.offers.set_enabled(true, t.now);
    CHECK(t.offered(slot) == set{0});
    CHECK(t.offered(none) == set{1});
}

TEST_CASE("piece offers: a peer that receives nothing for three seconds loses what it was given") {
    swarm t(3);
    auto const a = t.join();
    auto const b = t.join();
    t.pass(2);
    CHECK(t.offered(a) == set{0});
    t.offers.sent(b, 1, t.now);
    t.pass(2);
    CHECK(t.offered(a).empty());
    t.serve(b, 1);
    CHECK(t.offered(b).contains(0));
}

TEST_CASE("piece offers: with no new piece left, one that its owner does not pass on is given again") {
    swarm t(8);
    auto const c = t.offers.joined();
    for (int piece = 4; piece < 8; ++piece) {
        t.offers.has(c, piece, t.now);
    }
    auto const a = t.join();
    auto const b = t.join();
    t.serve(a, 0);
    REQUIRE(t.offered(a).contains(2));
    t.now += 100ms;
    t.has(b, 0); // passed on: the average is known
    t.serve(b, 1);
    t.serve(a, 2);
    t.serve(b, 3);
    t.has(a, 1);
    t.has(a, 3);
    // From c: b is never idle.
    t.now += 60ms;
    t.has(b, 4);
    CHECK_FALSE(t.offered(b).contains(2));
    t.now += 60ms;
    t.has(b, 5);
    CHECK(t.offered(b).contains(2));
}

TEST_CASE("piece offers: a peer that gets nothing from others is given the rarest pieces at the full rate") {
    swarm t(40);
    auto const a = t.offers.joined();
    auto const c = t.offers.joined();
    for (int piece = 0; piece < 40; ++piece) {
        t.offers.has(a, piece, t.now);
    }
    for (int piece = 0; piece < 20; ++piece) {
        t.offers.has(c, piece, t.now);
    }
    auto const b = t.join();
    CHECK(t.offered(b).empty());
    t.now += 101ms;
    t.offers.set_interested(c, true, t.now); // any event
    CHECK(t.offered(b) == set{20});
    t.serve(b, 20);
    CHECK(t.offered(b) == set{21});
    t.has(b, 5); // from another peer: it is not idle any more
    t.serve(b, 21);
    CHECK(t.offered(b).empty());
    t.now += 99ms;
    t.offers.set_interested(c, true, t.now);
    CHECK(t.offered(b).empty());
    t.pass(5);
    CHECK(t.offered(b) == set{22});
}

TEST_CASE("piece offers: a peer is not idle between the pieces that it gets in its own time") {
    swarm t(40);
    auto const a = t.offers.joined();
    for (int piece = 0; piece < 40; ++piece) {
        t.offers.has(a, piece, t.now);
    }
    auto const slow = t.offers.joined();
    t.hidden[slow].clear();
    t.has(slow, 0); // it has a part of the image already
    t.offers.set_choked(slow, false, t.now);
    t.offers.understands(slow, t.now);
    t.offers.set_interested(slow, true, t.now);
    for (int piece = 1; piece < 20; ++piece) {
        t.now += 90ms;
        t.has(slow, piece);
    }
    t.now += 300ms;
    t.offers.set_interested(slow, true, t.now);
    CHECK(t.offered(slow).empty());
    t.now += 100ms;
    t.offers.set_interested(slow, true, t.now);
    CHECK(t.offered(slow).size() == 1);
}

TEST_CASE("piece offers: while the link is full, a waiting peer is given one piece a second, and two not at once") {
    swarm t(40);
    auto const a = t.offers.joined();
    for (int piece = 0; piece < 40; ++piece) {
        t.offers.has(a, piece, t.now);
    }
    auto const deaf = t.join(false);
    for (int piece = 0; piece < 40; ++piece) {
        t.offers.requested(deaf, piece, t.now);
    }
    auto const b = t.join();
    auto const c = t.join();
    for (int step = 0; step < 9; ++step) {
        t.now += 100ms;
        t.offers.sent(deaf, length, t.now);
        CHECK((t.offered(b).empty() && t.offered(c).empty()));
    }
    t.now += 200ms;
    t.offers.second_passed(t.now);
    CHECK(t.offered(b).size() + t.offered(c).size() == 1);
}

TEST_CASE("piece offers: slow peers do not keep pieces from a fast one") {
    swarm t(64);
    auto const slow1 = t.join();
    auto const slow2 = t.join();
    auto const slow3 = t.join();
    auto const fast = t.join();
    REQUIRE(t.offered(fast).empty());
    for (int step = 1; step <= 60; ++step) {
        t.now += 50ms;
        t.offers.sent(slow1, 1000, t.now);
        t.offers.sent(slow2, 1000, t.now);
        t.offers.sent(slow3, 1000, t.now);
        for (int const piece : t.offered(fast)) {
            t.serve(fast, piece);
        }
        if (step % 20 == 0) {
            t.offers.second_passed(t.now);
        }
    }
    CHECK(t.there[fast].size() >= 20);
    CHECK(t.offered(slow1).size() + t.offered(slow2).size() + t.offered(slow3).size() <= 6);
}

TEST_CASE("piece offers: a peer that does not understand owns what it requests, and is told nothing") {
    swarm t(8);
    auto const deaf = t.join(false);
    t.offers.requested(deaf, 0, t.now);
    auto const a = t.join();
    CHECK(t.offered(a) == set{1});
    CHECK(t.hidden[deaf].empty());
}

TEST_CASE("piece offers: a piece that a peer requested before it knew that it is withheld stays its own if it is new") {
    swarm t(16);
    auto const a = t.join();
    auto const b = t.join();
    CHECK_FALSE(t.offers.refuses(b, 9));
    t.offers.requested(b, 9, t.now);
    CHECK(t.offered(b).contains(9));
    CHECK(t.offers.refuses(b, 0));
    t.offers.requested(b, 0, t.now);
    CHECK_FALSE(t.offered(b).contains(0));
    t.serve(a, 0);
    CHECK_FALSE(t.offered(a).contains(9));
}

TEST_CASE("piece offers: while enough is in flight, a request for a withheld piece is refused") {
    swarm t(16);
    auto const a = t.join();
    auto const b = t.join();
    CHECK_FALSE(t.offers.refuses(a, 9));
    auto const c = t.join();
    CHECK(t.offers.refuses(a, 9));
    CHECK_FALSE(t.offers.refuses(c, 2));
    CHECK_FALSE(t.offers.refuses(c, 16));
    auto const deaf = t.join(false);
    CHECK_FALSE(t.offers.refuses(deaf, 9));
    t.serve(a, 0);
    t.serve(b, 1);
    t.serve(c, 2);
    t.offers.left(deaf, t.now);
    t.serve(a, *t.offered(a).begin());
    CHECK(t.offers.refuses(c, 1)); // not new
}

TEST_CASE("piece offers: a seed is told nothing, whenever it turns out to be one") {
    swarm t(2);
    auto const a = t.offers.joined();
    t.offers.is_seed(a, t.now);
    t.offers.understands(a, t.now);
    t.offers.requested(a, 0, t.now);
    auto const b = t.join();
    CHECK(t.hidden[a].empty());
    CHECK(t.told == 3);
    CHECK(t.offered(b) == set{0}); // though a has it: it may be leaving
}

TEST_CASE("piece offers: switched off, everything is offered; switched on, what is not in flight is withheld") {
    swarm t(16);
    auto const a = t.join();
    t.offers.set_enabled(false, t.now);
    CHECK(t.hidden[a].empty());
    t.offers.requested(a, 9, t.now);
    t.offers.set_enabled(true, t.now);
    CHECK(t.offered(a) == set{0, 9});
    CHECK(t.hidden[a].size() == 14);
}

TEST_CASE("piece offers: unknown piece numbers are ignored") {
    swarm t(2);
    auto const a = t.join();
    for (int const piece : {-1, 2, 1 << 30}) {
        t.offers.requested(a, piece, t.now);
        t.offers.has(a, piece, t.now);
    }
    CHECK(t.offered(a) == set{0});
}
