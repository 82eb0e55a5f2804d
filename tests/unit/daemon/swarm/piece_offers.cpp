#include "daemon/swarm/piece_offers.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

using seedbed::piece_offers;

namespace {

/// A seed's peers, and which pieces each of them believes to be withheld.
struct swarm {
    explicit swarm(int count, int first_offer = 2)
        : offers(count, {[this](piece_offers::peer to, std::span<piece_offers::change const> changes) {
                             CHECK(changes.size() <= 512);
                             for (auto const& [piece, offered] : changes) {
                                 CHECK((offered ? hidden[to].erase(piece) == 1 : hidden[to].insert(piece).second));
                                 ++told;
                             }
                         },
                         [this](piece_offers::peer who) { return served.contains(who); }}) {
        offers.set_first_offer(first_offer);
    }

    piece_offers::peer join(bool understands = true) {
        auto const who = offers.joined();
        hidden[who].clear();
        if (understands) {
            offers.understands(who);
        }
        offers.set_interested(who, true);
        offers.set_choked(who, false);
        return who;
    }
    void has(piece_offers::peer who, int piece) {
        hidden[who].erase(piece); // of no further interest
        offers.has(who, piece);
    }
    void pass(int seconds) {
        for (int i = 0; i < seconds; ++i) {
            offers.second_passed();
        }
    }

    int told = 0;
    std::set<piece_offers::peer> served;
    std::map<piece_offers::peer, std::set<int>> hidden;
    piece_offers offers;
};

using set = std::set<int>;

} // namespace

TEST_CASE("piece offers: a requested piece is withheld from the other peers") {
    swarm t(8);
    auto const a = t.join();
    auto const b = t.join();
    auto const c = t.join();
    t.offers.requested(a, 3);
    t.offers.requested(a, 3);
    CHECK(t.hidden[a].empty());
    CHECK(t.hidden[b] == set{3});
    CHECK(t.hidden[c] == set{3});
    t.offers.requested(b, 3); // sent before the peer knew
    t.offers.requested(b, 4);
    CHECK(t.hidden[a] == set{4});
    CHECK(t.hidden[b] == set{3});
    CHECK(t.hidden[c] == set{3, 4});
    CHECK(t.told == 4);
}

TEST_CASE(
    "piece offers: no message about a piece is sent to a peer that has it, does not need it or does not understand") {
    swarm t(4);
    auto const a = t.join();
    auto const deaf = t.join(false);
    auto const seed = t.join();
    t.offers.is_seed(seed);
    auto const b = t.join();
    t.has(b, 1);
    t.offers.requested(a, 1);
    t.offers.requested(a, 2);
    CHECK(t.hidden[b] == set{2});
    CHECK(t.hidden[deaf].empty());
    CHECK(t.hidden[seed].empty());
    // A peer without the extension becomes an owner, too.
    t.offers.requested(deaf, 3);
    CHECK(t.hidden[a] == set{3});
}

TEST_CASE("piece offers: a peer that connects or understands later learns of all withheld pieces") {
    swarm t(4);
    auto const a = t.join();
    t.offers.requested(a, 0);
    t.offers.requested(a, 2);
    auto const b = t.offers.joined();
    t.has(b, 2);
    CHECK(t.hidden[b].empty());
    t.offers.understands(b);
    CHECK(t.hidden[b] == set{0});
    t.offers.understands(b); // a second handshake
    CHECK(t.told == 1);
}

TEST_CASE("piece offers: a piece is offered to all when its owner leaves and no peer has it") {
    swarm t(4);
    auto const a = t.join();
    auto const b = t.join();
    auto const c = t.join();
    t.offers.requested(a, 0);
    t.offers.requested(a, 1);
    t.has(a, 1);
    t.has(b, 1);
    t.offers.left(a);
    CHECK(t.hidden[b].empty());
    CHECK(t.hidden[c] == set{1}); // b has it
    t.offers.left(b);
    CHECK(t.hidden[c].empty());
    t.offers.requested(c, 1); // and may get a new owner
    auto const d = t.join();
    CHECK(t.hidden[d] == set{1});
}

TEST_CASE("piece offers: a piece stays withheld while its owner is connected, whoever else had it") {
    swarm t(2);
    auto const a = t.join();
    auto const b = t.join();
    auto const c = t.join();
    t.offers.requested(a, 0);
    t.has(b, 0);
    t.offers.left(b);
    CHECK(t.hidden[c] == set{0});
}

TEST_CASE("piece offers: a waiting peer is offered twice as much each time") {
    swarm t(32, 2);
    auto const a = t.join();
    auto const b = t.join();
    for (int piece = 0; piece < 32; ++piece) {
        t.offers.requested(a, piece);
    }
    CHECK(t.hidden[b].size() == 32);
    t.pass(1);
    t.offers.requested(b, 40); // unknown, but a request
    t.pass(2);
    CHECK(t.hidden[b].size() == 32);
    t.pass(1);
    CHECK(t.hidden[b].size() == 30);
    CHECK_FALSE(t.hidden[b].contains(0));
    CHECK_FALSE(t.hidden[b].contains(1));
    t.pass(2);
    CHECK(t.hidden[b].size() == 26);
    t.pass(2);
    CHECK(t.hidden[b].size() == 18);
    t.pass(100);
    CHECK(t.hidden[b].empty());
    CHECK(t.hidden[a].empty());
}

TEST_CASE("piece offers: a peer that receives pieces from others waits four times as long") {
    swarm t(32, 2);
    auto const a = t.join();
    auto const b = t.join();
    for (int piece = 0; piece < 32; ++piece) {
        t.offers.requested(a, piece);
    }
    t.pass(1);
    for (int second = 0; second < 7; ++second) {
        t.has(b, 31 - second);
        t.pass(1);
        CHECK(t.hidden[b].size() == static_cast<std::size_t>(31 - second));
    }
    t.has(b, 20);
    t.pass(1);
    CHECK(t.hidden[b].size() == 32 - 8 - 2);
}

TEST_CASE("piece offers: a choked peer owns nothing, waits for no offer, and loses what it owned") {
    swarm t(4);
    auto const a = t.join();
    auto const b = t.join();
    auto const c = t.join();
    t.offers.set_choked(a, true);
    t.offers.requested(a, 0);
    CHECK(t.hidden[b].empty());
    t.offers.requested(b, 0);
    t.offers.requested(b, 1);
    t.has(b, 1);
    CHECK(t.hidden[a] == set{0, 1});
    t.pass(100);
    CHECK(t.hidden[a] == set{0, 1});   // it waits to be unchoked
    t.offers.set_interested(a, false); // because nothing is offered to it
    t.pass(3);
    CHECK(t.hidden[a].empty());
    t.offers.set_choked(b, true);
    CHECK(t.hidden[c].empty()); // it was offered more, too
    auto const d = t.join();
    CHECK(t.hidden[d] == set{1}); // b has that one
}

TEST_CASE("piece offers: a peer that is being served is offered nothing more") {
    swarm t(4);
    auto const a = t.join();
    auto const b = t.join();
    t.offers.requested(a, 0);
    t.served.insert(b);
    t.pass(100);
    CHECK(t.hidden[b] == set{0});
    t.served.clear();
    t.pass(2);
    CHECK(t.hidden[b].empty());
}

TEST_CASE("piece offers: a seed owns nothing, even if it requests") {
    swarm t(2);
    auto const a = t.join();
    auto const b = t.join();
    t.offers.is_seed(a);
    t.offers.requested(a, 0);
    CHECK(t.hidden[b].empty());
}

TEST_CASE("piece offers: many peers, and many changes, are served once per second") {
    swarm t(2000, 1);
    auto const a = t.join();
    for (int piece = 0; piece < 2000; ++piece) {
        t.offers.requested(a, piece);
    }
    auto const b = t.join();
    CHECK(t.hidden[b].size() == 512);
    t.offers.requested(b, 5000);
    t.pass(1);
    CHECK(t.hidden[b].size() == 1024);
    for (int i = 0; i < 70; ++i) {
        static_cast<void>(t.join());
    }
    t.offers.left(a);
    CHECK(t.hidden[b].size() == 1024);
    t.pass(1);
    CHECK(t.hidden[b].size() == 512);
    t.offers.requested(b, 7);
    auto const c = t.join();
    CHECK(t.hidden[c] == set{7});
    t.offers.requested(c, 1500);
    CHECK_FALSE(t.hidden[b].contains(1500));
    t.pass(2); // the first second covers the other half
    CHECK(t.hidden[b] == set{1500});
}

TEST_CASE("piece offers: switched off, everything is offered again and nothing withheld") {
    swarm t(8);
    auto const a = t.join();
    auto const b = t.join();
    t.offers.requested(a, 1);
    t.offers.set_first_offer(0);
    CHECK(t.hidden[b].empty());
    t.offers.requested(a, 2);
    CHECK(t.hidden[b].empty());
    t.offers.set_first_offer(1);
    t.offers.requested(a, 2);
    CHECK(t.hidden[b] == set{2});
}

TEST_CASE("piece offers: unknown piece numbers are ignored") {
    swarm t(2);
    auto const a = t.join();
    for (int const piece : {-1, 2, 1 << 30}) {
        t.offers.requested(a, piece);
        t.has(a, piece);
    }
    t.offers.requested(a, 0);
    CHECK(t.told == 0);
    t.offers.left(a);
}

TEST_CASE("piece offers: whatever happens, a withheld piece has a holder or an owner") {
    constexpr int pieces = 12;
    std::mt19937 random(7); // NOLINT(cert-msc51-cpp): the same every time
    auto const below = [&random](int end) { return static_cast<int>(random() % static_cast<unsigned>(end)); };
    swarm t(pieces, 1);
    struct known {
        bool seed = false;
        bool choked = false;
        set there;
        set asked; ///< while not choked
    };
    std::map<piece_offers::peer, known> here;
    for (int step = 0; step < 20'000; ++step) {
        auto const what = below(17);
        if (here.size() < 2 || (what == 0 && here.size() < 6)) {
            auto const who = t.join(below(4) != 0);
            here[who] = {};
            if (below(6) == 0) {
                t.offers.is_seed(who);
                here[who].seed = true;
                t.hidden[who].clear();
            }
            continue;
        }
        auto const each = std::next(here.begin(), below(static_cast<int>(here.size())));
        auto const who = each->first;
        auto& knows = each->second;
        auto const piece = below(pieces);
        if (what == 1) {
            here.erase(each);
            t.offers.left(who);
        } else if (what < 8 && !t.hidden[who].contains(piece)) {
            t.offers.requested(who, piece);
            if (!knows.choked && !knows.seed) {
                knows.asked.insert(piece);
            }
        } else if (what < 13 && !knows.seed) {
            t.has(who, piece);
            knows.there.insert(piece);
        } else if (what < 15) {
            knows.choked = !knows.choked;
            knows.asked.clear();
            t.offers.set_choked(who, knows.choked);
        } else {
            t.offers.second_passed();
        }
        for (auto const& [other, unused] : here) {
            for (auto const hidden : t.hidden[other]) {
                CHECK(std::ranges::any_of(here, [hidden](auto const& at) {
                    return at.second.there.contains(hidden) || at.second.asked.contains(hidden);
                }));
            }
        }
    }
    CHECK(t.told > 1000);
}
