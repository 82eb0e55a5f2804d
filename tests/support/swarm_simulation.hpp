#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <queue>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <boost/dynamic_bitset.hpp>

#include "daemon/swarm/piece_offers.hpp"

namespace seedbed::test {

/// A seed whose pieces are offered by piece_offers, and machines that download the image from it and from each other:
/// discrete events, links with rates in both directions, no latency. A machine fetches the rarest pieces first, few at
/// a time, from random neighbours; a link is shared evenly by its transfers. The same seed gives the same result.
class swarm_simulation {
public:
    struct machine {
        double up = 1;   ///< pieces per second; 0: gives nothing away
        double down = 1; ///< pieces per second
        double joins = 0;
        double leaves = std::numeric_limits<double>::infinity();
        bool understands = true; ///< that the seed withholds pieces; otherwise it requests what it likes
        bool reachable = true;   ///< by the other machines
    };
    struct outcome {
        std::vector<double> complete; ///< seconds, for each machine; infinity: never
        double sent = 0;              ///< images that the seed has sent
    };

    swarm_simulation(int pieces, double seed_up, std::vector<machine> machines, std::uint32_t random_seed)
        : m_pieces(pieces)
        , m_seed_up(seed_up)
        , m_random(random_seed)
        , m_holders(static_cast<std::size_t>(pieces))
        , m_offers({pieces, piece_length, 0},
                   [this](piece_offers::peer to, auto changes) { take_changes(to, changes); }) {
        m_offers.set_enabled(true, at(0));
        m_outcome.complete.assign(machines.size(), std::numeric_limits<double>::infinity());
        for (auto const& each : machines) {
            auto const number = m_nodes.size();
            m_nodes.push_back({each, bits(), bits(), bits(), {}, {}, {}, {}});
            push({each.joins, kind::join, number, 0});
            if (each.leaves < std::numeric_limits<double>::infinity()) {
                push({each.leaves, kind::leave, number, 0});
            }
        }
        push({1, kind::second, 0, 0});
    }

    /// Runs until every machine has the image or has left, at most until \p limit seconds.
    outcome run(double limit) {
        while (!m_events.empty() && m_events.top().time <= limit && unfinished() > 0) {
            auto const next = m_events.top();
            m_events.pop();
            m_now = next.time;
            handle(next);
            drain();
        }
        m_outcome.sent = m_seed_sent / m_pieces;
        return m_outcome;
    }

private:
    using piece_set = boost::dynamic_bitset<>;
    static constexpr std::int64_t piece_length = 1 << 20;
    static constexpr std::size_t most_neighbours = 40;
    static constexpr std::size_t downloads = 4; ///< at a time, without those from the seed
    static constexpr std::size_t uploads = 4;
    static constexpr std::size_t seed = std::numeric_limits<std::size_t>::max();

    enum class kind { join, leave, second, transfer };
    struct event {
        double time;
        kind what;
        std::size_t subject; ///< a machine, or a transfer
        std::uint64_t version;
        bool operator<(event const& other) const { return time > other.time; }
    };
    struct transfer {
        std::size_t from;
        std::size_t to;
        std::size_t piece;
        double left; ///< of the piece
        double rate = 0;
        double since = 0;
        std::uint64_t version = 0;
    };
    struct node {
        machine is;
        piece_set has;
        piece_set fetches;
        piece_set withheld;
        std::vector<std::size_t> in;  ///< transfers
        std::vector<std::size_t> out; ///< transfers
        std::vector<std::size_t> neighbours;
        std::optional<piece_offers::peer> peer; ///< while it is there
    };

    [[nodiscard]] piece_set bits() const { return piece_set(static_cast<std::size_t>(m_pieces)); }
    [[nodiscard]] static piece_offers::clock::time_point at(double seconds) {
        return piece_offers::clock::time_point(
            std::chrono::duration_cast<piece_offers::clock::duration>(std::chrono::duration<double>(seconds)));
    }
    [[nodiscard]] std::size_t unfinished() const { return m_nodes.size() - m_done; }
    void push(event const& added) { m_events.push(added); }

    void handle(event const& next) {
        switch (next.what) {
        case kind::join:
            join(next.subject);
            break;
        case kind::leave:
            leave(next.subject);
            break;
        case kind::second:
            m_offers.second_passed(at(m_now));
            for (std::size_t who = 0; who < m_nodes.size(); ++who) {
                m_wake.push_back(who);
            }
            push({m_now + 1, kind::second, 0, 0});
            break;
        case kind::transfer:
            if (m_transfers[next.subject].version == next.version) {
                complete(next.subject);
            }
        }
    }

    void join(std::size_t who) {
        auto& joins = m_nodes[who];
        // Random neighbours, in both directions.
        std::vector<std::size_t> candidates;
        for (std::size_t tries = 0; tries < 4 * most_neighbours && m_present.size() > most_neighbours; ++tries) {
            candidates.push_back(m_present[m_random() % m_present.size()]);
        }
        if (m_present.size() <= most_neighbours) {
            candidates = m_present;
        }
        for (auto const other : candidates) {
            auto const known = std::ranges::find(joins.neighbours, other) != joins.neighbours.end();
            if (!known && joins.neighbours.size() < most_neighbours) {
                joins.neighbours.push_back(other);
                m_nodes[other].neighbours.push_back(who);
            }
        }
        m_present.push_back(who);
        joins.peer = m_offers.joined();
        if (m_members.size() <= *joins.peer) {
            m_members.resize(*joins.peer + 1);
        }
        m_members[*joins.peer] = who;
        m_offers.set_choked(*joins.peer, false, at(m_now));
        if (joins.is.understands) {
            m_offers.understands(*joins.peer, at(m_now));
        }
        m_offers.set_interested(*joins.peer, true, at(m_now));
        m_wake.push_back(who);
    }

    void leave(std::size_t who) {
        auto& leaves = m_nodes[who];
        if (!leaves.peer) {
            return;
        }
        m_done += leaves.has.all() ? 0 : 1;
        for (auto const* const list : {&leaves.in, &leaves.out}) {
            for (auto const number : std::vector(*list)) {
                m_wake.push_back(m_transfers[number].to);
                end(number);
            }
        }
        for (auto const other : leaves.neighbours) {
            std::erase(m_nodes[other].neighbours, who);
        }
        for (auto piece = leaves.has.find_first(); piece != piece_set::npos; piece = leaves.has.find_next(piece)) {
            --m_holders[piece];
        }
        std::erase(m_present, who);
        m_offers.left(*std::exchange(leaves.peer, std::nullopt), at(m_now));
    }

    void take_changes(piece_offers::peer to, std::span<piece_offers::change const> changes) {
        auto const who = m_members.at(to);
        for (auto const& [piece, offered] : changes) {
            m_nodes[who].withheld.set(static_cast<std::size_t>(piece), !offered);
        }
        m_wake.push_back(who);
    }

    /// Machines that may have something new to fetch.
    void drain() {
        while (!m_wake.empty()) {
            auto const who = m_wake.back();
            m_wake.pop_back();
            if (m_nodes[who].peer && !m_nodes[who].has.all()) {
                fetch_from_seed(who);
                fetch_from_neighbours(who);
            }
        }
    }

    void fetch_from_seed(std::size_t who) {
        auto& to = m_nodes[who];
        auto wanted = ~(to.has | to.fetches | to.withheld);
        auto const from_seed = [this](std::size_t number) { return m_transfers[number].from == seed; };
        // A client that does not know what is withheld splits its requests among its sources.
        while (wanted.any() && (to.is.understands || std::ranges::count_if(to.in, from_seed) < 2)) {
            auto const piece = to.is.understands ? wanted.find_first() : rarest(wanted);
            wanted.reset(piece);
            m_offers.requested(*to.peer, static_cast<int>(piece), at(m_now));
            start(seed, who, piece);
        }
    }

    void fetch_from_neighbours(std::size_t who) {
        auto& to = m_nodes[who];
        if (to.neighbours.empty()) {
            return;
        }
        auto const first = m_random() % to.neighbours.size();
        for (std::size_t i = 0; i < to.neighbours.size() && to.in.size() < downloads; ++i) {
            auto const from = to.neighbours[(first + i) % to.neighbours.size()];
            auto const& source = m_nodes[from];
            if (source.is.up <= 0 || !source.is.reachable || !to.is.reachable || source.out.size() >= uploads) {
                continue;
            }
            auto const wanted = source.has - to.has - to.fetches;
            if (wanted.any()) {
                start(from, who, rarest(wanted));
            } else {
                take_over(from, who);
            }
        }
    }

    /// The end game: an idle source sends the rest of a piece that would come later from another one.
    void take_over(std::size_t from, std::size_t who) {
        for (auto const number : m_nodes[who].in) {
            auto const& slow = m_transfers[number];
            auto const& source = m_nodes[from];
            auto const rate = source.is.up / static_cast<double>(source.out.size() + 1);
            if (slow.from != from && source.has.test(slow.piece) && rate > 2 * slow.rate) {
                auto const piece = slow.piece;
                auto const left = slow.left - slow.rate * (m_now - slow.since);
                end(number);
                start(from, who, piece, std::max(left, 0.0));
                return;
            }
        }
    }

    [[nodiscard]] std::size_t rarest(piece_set const& among) {
        auto best = among.find_first();
        unsigned ties = 1;
        for (auto piece = among.find_next(best); piece != piece_set::npos; piece = among.find_next(piece)) {
            ties = m_holders[piece] < m_holders[best] ? 1 : ties + (m_holders[piece] == m_holders[best] ? 1U : 0U);
            if (m_holders[piece] < m_holders[best] || (m_holders[piece] == m_holders[best] && m_random() % ties == 0)) {
                best = piece;
            }
        }
        return best;
    }

    void start(std::size_t from, std::size_t to, std::size_t piece, double left = 1) {
        std::size_t number = m_transfers.size();
        if (m_free.empty()) {
            m_transfers.emplace_back();
        } else {
            number = m_free.back();
            m_free.pop_back();
        }
        auto const version = m_transfers[number].version + 1;
        m_transfers[number] = {from, to, piece, left, 0, m_now, version};
        m_nodes[to].fetches.set(piece);
        m_nodes[to].in.push_back(number);
        out_of(from).push_back(number);
        share(from, to);
    }

    void end(std::size_t number) {
        auto& ended = m_transfers[number];
        ++ended.version;
        m_nodes[ended.to].fetches.reset(ended.piece);
        std::erase(m_nodes[ended.to].in, number);
        std::erase(out_of(ended.from), number);
        m_free.push_back(number);
        share(ended.from, ended.to);
    }

    void complete(std::size_t number) {
        auto const [from, to, piece, left, rate, since, version] = m_transfers[number];
        end(number);
        auto& got = m_nodes[to];
        got.has.set(piece);
        ++m_holders[piece];
        if (got.has.all()) {
            ++m_done;
            m_outcome.complete[to] = m_now;
        }
        if (from == seed) {
            ++m_seed_sent;
            m_offers.sent(*got.peer, piece_length, at(m_now));
        } else {
            wake_idle(from); // a place is free
        }
        m_offers.has(*got.peer, static_cast<int>(piece), at(m_now));
        m_wake.push_back(to);
        wake_idle(to);
    }

    void wake_idle(std::size_t around) {
        for (auto const other : m_nodes[around].neighbours) {
            if (m_nodes[other].in.size() < downloads) {
                m_wake.push_back(other);
            }
        }
    }

    [[nodiscard]] std::vector<std::size_t>& out_of(std::size_t from) {
        return from == seed ? m_seed_out : m_nodes[from].out;
    }

    /// The rates of all transfers that share a link with a new or ended one.
    void share(std::size_t from, std::size_t to) {
        for (auto const* const list : {&out_of(from), &m_nodes[to].in}) {
            for (auto const number : *list) {
                auto& each = m_transfers[number];
                auto const up = (each.from == seed ? m_seed_up : m_nodes[each.from].is.up) /
                                static_cast<double>(out_of(each.from).size());
                auto const down = m_nodes[each.to].is.down / static_cast<double>(m_nodes[each.to].in.size());
                auto const rate = std::min(up, down);
                if (rate == each.rate) {
                    continue;
                }
                each.left = std::max(each.left - each.rate * (m_now - each.since), 0.0);
                each.since = m_now;
                each.rate = rate;
                ++each.version;
                push({m_now + each.left / rate, kind::transfer, number, each.version});
            }
        }
    }

    int const m_pieces;
    double const m_seed_up;
    std::mt19937 m_random;
    std::vector<int> m_holders;
    std::vector<node> m_nodes;
    std::vector<std::size_t> m_present;
    std::vector<std::size_t> m_members; ///< machines by piece_offers' number
    std::vector<transfer> m_transfers;
    std::vector<std::size_t> m_free;
    std::vector<std::size_t> m_seed_out;
    std::vector<std::size_t> m_wake;
    std::priority_queue<event> m_events;
    double m_now = 0;
    double m_seed_sent = 0;
    std::size_t m_done = 0;
    outcome m_outcome;
    piece_offers m_offers;
};

} // namespace seedbed::test
