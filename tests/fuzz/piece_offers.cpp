// Messages of peers in any order, against read_once: each peer is told of real changes only and in the
// end of every piece.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <vector>

#include "daemon/swarm/piece_offers.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

constexpr int piece_count = 5;
constexpr std::size_t most_peers = 5;

/// A peer, and what it has been told.
struct peer_view {
    bool understands = false;
    bool seed = false;
    std::set<int> has;
    std::set<int> withheld;
};

struct world {
    std::map<piece_offers::peer, peer_view> peers;
    piece_offers::clock::time_point now{};
    piece_offers offers{
        {piece_count, 1 << 20, 2},
        [this](piece_offers::peer to, std::span<piece_offers::change const> changes) { take(to, changes); }};

    void take(piece_offers::peer to, std::span<piece_offers::change const> changes) {
        auto const found = peers.find(to);
        fuzz::require(found != peers.end() && found->second.understands && !changes.empty());
        for (auto const& [piece, offered] : changes) {
            auto& mine = found->second;
            fuzz::require(piece >= 0 && piece < piece_count);
            fuzz::require(!mine.has.contains(piece) && !mine.seed);
            fuzz::require(offered ? mine.withheld.erase(piece) == 1 : mine.withheld.insert(piece).second);
        }
    }
    void join() {
        if (peers.size() < most_peers) {
            fuzz::require(peers.emplace(offers.joined(), peer_view{}).second);
        }
    }
    /// One event of the peer \p who.
    void event(unsigned which, piece_offers::peer who, int piece) {
        auto& view = peers.at(who);
        switch (which) {
        case 0:
            view.understands = true;
            offers.understands(who, now);
            break;
        case 1:
            if (piece >= 0 && piece < piece_count) {
                view.has.insert(piece);
                view.withheld.erase(piece);
            }
            offers.has(who, piece, now);
            break;
        case 2:
            offers.is_seed(who, now);
            view.seed = true;
            view.withheld.clear();
            break;
        case 3:
            offers.set_interested(who, piece % 2 == 0, now);
            break;
        case 4:
            offers.set_choked(who, piece % 2 == 0, now);
            break;
        case 5:
            if (!offers.refuses(who, piece)) {
                offers.requested(who, piece, now);
            }
            break;
        default:
            peers.erase(who);
            offers.left(who, now);
        }
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    world all;
    all.offers.set_enabled(true, all.now);
    while (!input.empty()) {
        auto const what = input.byte() % 16;
        auto const who = input.byte();
        auto const piece = static_cast<int>(who / 16) - 2;
        if (what >= 12) {
            all.join();
        } else if (what == 8) {
            all.now += std::chrono::milliseconds(who * 20);
            all.offers.second_passed(all.now);
        } else if (what == 9) {
            all.offers.set_enabled(who % 4 != 0, all.now);
        } else if (what == 10 && all.peers.contains(who % 8)) {
            all.offers.sent(who % 8, (who / 8) << 16, all.now);
        } else if (!all.peers.empty()) {
            auto at = all.peers.begin();
            std::advance(at, static_cast<std::ptrdiff_t>(who % all.peers.size()));
            all.event(static_cast<unsigned>(what), at->first, piece);
        }
    }
    all.offers.set_enabled(false, all.now); // offers everything again
    all.offers.second_passed(all.now);
    for (auto const& [who, view] : all.peers) {
        fuzz::require(view.withheld.empty());
    }
    return 0;
}
