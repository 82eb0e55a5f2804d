#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include <boost/dynamic_bitset.hpp>

#include "daemon/swarm/piece_offers.hpp"

namespace seedbed::test {

/// A seed whose pieces are offered by piece_offers, one for each network shard, and machines that download the image
/// from it and from each other: discrete events, links with rates in both directions, no latency. A machine fetches the
/// rarest pieces first, few at a time, from random neighbours; a link is shared evenly by its transfers, except the
/// seed's if share_unevenly() is called. The same random seed gives the same result.
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
        std::vector<double> complete;   ///< seconds, for each machine; infinity: never
        double sent = 0;                ///< images that the seed has sent
        std::size_t most_from_seed = 0; ///< transfers at a time
        /// For each machine, the longest time in seconds during which it lacked a piece and received nothing, and the
        /// seed's link was not full.
        std::vector<double> idle;
    };

    swarm_simulation(int pieces, double seed_up, std::vector<machine> machines, std::uint32_t random_seed,
                     std::size_t shards = 1)
        : m_pieces(pieces)
        , m_seed_up(seed_up)
        , m_random(random_seed)
        , m_holders(static_cast<std::size_t>(pieces)) {
        for (std::size_t i = 0; i < shards; ++i) {
            auto const first = static_cast<int>(static_cast<std::size_t>(pieces) * i / shards);
            auto& added = m_shards.emplace_back(std::make_unique<shard>());
            added->offers.emplace(piece_offers::image_shape{pieces, piece_length, first},
                                  [this, of = added.get()](piece_offers::peer to, auto changes) {
                                      take_changes(of->who.at(to), changes);
                                  });
            added->offers->set_enabled(true, at(0));
        }
        m_outcome.complete.assign(machines.size(), std::numeric_limits<double>::infinity());
        m_outcome.idle.assign(machines.size(), 0);
        for (auto const& each : machines) {
            auto const number = m_nodes.size();
            m_nodes.push_back({each, bits(), bits(), bits(), {}, {}, {}, {}, *m_shards[number % shards]});
            push({each.joins, kind::join, number, 0});
            if (each.leaves < std::numeric_limits<double>::infinity()) {
                push({each.leaves, kind::leave, number, 0});
            }
        }
        push({1, kind::second, 0, 0});
        push({look_interval, kind::look, 0, 0});
    }

    /// Parts of the seed's link differ by a factor of 2.7 on average (the standard deviation of their logarithm is 1),
    /// and change several times a second.
    void share_unevenly() { m_uneven = true; }

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
    static constexpr std::int64_t piece_length = 256 << 10;
    static constexpr double look_interval = 0.05; ///< at which the seed sees how much it has sent
    static constexpr std::size_t most_neighbours = 20;
    static constexpr std::size_t downloads =
        4; ///< at a time, without those from the seed; more while its link is not full
    static constexpr std::size_t uploads = 4; ///< the same
    static constexpr std::size_t seed = std::numeric_limits<std::size_t>::max();

    enum class kind { join, leave, second, look, transfer };
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
        double seen = 0;   ///< of the piece, by the seed, as sent
        double up = 0;     ///< share of the source's link
        double down = 0;   ///< share of the target's link
        double weight = 1; ///< its shares are in proportion to this
    };
    struct shard {
        std::optional<piece_offers> offers;
        std::vector<std::size_t> who; ///< machines by the number of their connection
    };
    struct node {
        machine is;
        piece_set has;
        piece_set fetches;
        piece_set withheld;
        std::vector<std::size_t> in;  ///< transfers
        std::vector<std::size_t> out; ///< transfers
        std::vector<std::size_t> neighbours;
        std::optional<piece_offers::peer> peer; ///< while it is present
        shard& of;
        double idle = 0;    ///< seconds, see outcome
        bool woken = false; ///< it is in m_wake
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
            for (auto const& each : m_shards) {
                each->offers->second_passed(at(m_now));
            }
            for (std::size_t who = 0; who < m_nodes.size(); ++who) {
                wake(who);
            }
            push({m_now + 1, kind::second, 0, 0});
            break;
        case kind::look:
            look();
            push({m_now + look_interval, kind::look, 0, 0});
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
        auto& offers = *joins.of.offers;
        joins.peer = offers.joined();
        joins.of.who.resize(std::max(joins.of.who.size(), *joins.peer + 1));
        joins.of.who[*joins.peer] = who;
        offers.set_choked(*joins.peer, false, at(m_now));
        if (joins.is.understands) {
            offers.understands(*joins.peer, at(m_now));
        }
        offers.set_interested(*joins.peer, true, at(m_now));
        wake(who);
    }

    /// The seed sees what it has sent since the last time, and the simulation which machines are idle.
    void look() {
        if (++m_looks % 6 == 0 && m_uneven && !m_seed_out.empty()) {
            for (auto const number : m_seed_out) {
                m_transfers[number].weight = draw_weight();
            }
            share(seed, m_transfers[m_seed_out.front()].to);
        }
        auto const rate = rate_of(m_seed_out);
        for (auto const number : std::vector(m_seed_out)) {
            auto& each = m_transfers[number];
            auto const sent = 1 - each.left + each.rate * (m_now - each.since);
            report_sent(m_nodes[each.to], sent - std::exchange(each.seen, sent));
        }
        auto const full = rate >= 0.95 * m_seed_up;
        for (std::size_t who = 0; who < m_nodes.size(); ++who) {
            auto& each = m_nodes[who];
            auto const idle = !full && each.peer && !each.has.all() && each.in.empty();
            each.idle = idle ? each.idle + look_interval : 0;
            m_outcome.idle[who] = std::max(m_outcome.idle[who], each.idle);
        }
    }
    [[nodiscard]] double draw_weight() { return m_uneven ? std::lognormal_distribution<double>(0, 1)(m_random) : 1; }
    void report_sent(node& to, double sent) {
        m_seed_sent += sent;
        to.of.offers->sent(*to.peer, static_cast<std::int64_t>(sent * static_cast<double>(piece_length)), at(m_now));
    }

    void leave(std::size_t who) {
        auto& leaves = m_nodes[who];
        if (!leaves.peer) {
            return;
        }
        m_done += leaves.has.all() ? 0 : 1;
        for (auto const* const list : {&leaves.in, &leaves.out}) {
            for (auto const number : std::vector(*list)) {
                wake(m_transfers[number].to);
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
        leaves.of.offers->left(*std::exchange(leaves.peer, std::nullopt), at(m_now));
    }

    void take_changes(std::size_t who, std::span<piece_offers::change const> changes) {
        for (auto const& [piece, offered] : changes) {
            m_nodes[who].withheld.set(static_cast<std::size_t>(piece), !offered);
        }
        wake(who);
    }

    void wake(std::size_t who) {
        if (!std::exchange(m_nodes[who].woken, true)) {
            m_wake.push_back(who);
        }
    }
    /// Machines that may have something new to fetch.
    void drain() {
        while (!m_wake.empty()) {
            std::swap(m_wake[m_random() % m_wake.size()], m_wake.back()); // no machine is always the first one
            auto const who = m_wake.back();
            m_wake.pop_back();
            m_nodes[who].woken = false;
            if (m_nodes[who].peer && !m_nodes[who].has.all()) {
                fetch_from_seed(who);
                fetch_from_neighbours(who);
            }
        }
    }

    [[nodiscard]] std::size_t from_seed(node const& to) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(to.in, [this](std::size_t number) { return m_transfers[number].from == seed; }));
    }

    void fetch_from_seed(std::size_t who) {
        auto& to = m_nodes[who];
        auto wanted = ~(to.has | to.fetches | to.withheld);
        // A client that does not know what is withheld splits its requests among its sources.
        while (wanted.any() && (to.is.understands || from_seed(to) < 2)) {
            auto const piece = to.is.understands ? wanted.find_first() : rarest(wanted);
            wanted.reset(piece);
            to.of.offers->requested(*to.peer, static_cast<int>(piece), at(m_now));
            start(seed, who, piece);
        }
    }

    [[nodiscard]] double rate_of(std::vector<std::size_t> const& transfers) const {
        double rate = 0;
        for (auto const number : transfers) {
            rate += m_transfers[number].rate;
        }
        return rate;
    }
    [[nodiscard]] bool gives_another(node const& from) const {
        return from.out.size() < uploads || rate_of(from.out) < 0.9 * from.is.up;
    }
    [[nodiscard]] bool takes_another(node const& to) const {
        return to.in.size() < from_seed(to) + downloads || rate_of(to.in) < 0.9 * to.is.down;
    }

    void fetch_from_neighbours(std::size_t who) {
        auto& to = m_nodes[who];
        if (to.neighbours.empty()) {
            return;
        }
        auto const first = m_random() % to.neighbours.size();
        auto has = to.has | to.fetches;
        for (std::size_t i = 0; i < to.neighbours.size() && takes_another(to); ++i) {
            auto const from = to.neighbours[(first + i) % to.neighbours.size()];
            auto const& source = m_nodes[from];
            if (source.is.up <= 0 || !source.is.reachable || !to.is.reachable) {
                continue;
            }
            if (source.has.is_subset_of(has)) {
                take_over(from, who);
            } else if (gives_another(source)) {
                auto const piece = rarest(source.has - has);
                start(from, who, piece);
                has.set(piece);
            }
        }
    }

    /// The end game: an idle source sends the rest of a piece that would come later from another one.
    void take_over(std::size_t from, std::size_t who) {
        for (auto const number : m_nodes[who].in) {
            auto const& slow = m_transfers[number];
            auto const& source = m_nodes[from];
            auto const rate = source.is.up / static_cast<double>(source.out.size() + 1);
            if (slow.from != from && source.has.test(slow.piece) && rate > 2 * slow.rate && gives_another(source)) {
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
        m_transfers[number] = {from, to, piece, left, 0, m_now, version, 1 - left};
        m_nodes[to].fetches.set(piece);
        m_nodes[to].in.push_back(number);
        out_of(from).push_back(number);
        if (from == seed) {
            m_transfers[number].weight = draw_weight();
            m_outcome.most_from_seed = std::max(m_outcome.most_from_seed, m_seed_out.size());
        }
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
        auto const done = m_transfers[number];
        end(number);
        auto& got = m_nodes[done.to];
        got.has.set(done.piece);
        ++m_holders[done.piece];
        if (got.has.all()) {
            ++m_done;
            m_outcome.complete[done.to] = m_now;
        }
        if (done.from == seed) {
            report_sent(got, 1 - done.seen);
        } else {
            wake_idle(done.from); // a place is free
        }
        got.of.offers->has(*got.peer, static_cast<int>(done.piece), at(m_now));
        wake(done.to);
        wake_idle(done.to);
    }

    void wake_idle(std::size_t around) {
        for (auto const other : m_nodes[around].neighbours) {
            if (takes_another(m_nodes[other])) {
                wake(other);
            }
        }
    }

    [[nodiscard]] std::vector<std::size_t>& out_of(std::size_t from) {
        return from == seed ? m_seed_out : m_nodes[from].out;
    }

    /// The rates of all transfers that share a link with a new or ended one. A transfer has the smaller one of its
    /// shares of both links. Each link is shared evenly, except that a transfer which its other link limits to less
    /// leaves the rest to the others.
    void share(std::size_t from, std::size_t to) {
        share_up(from);
        share_down(to);
        if (m_uneven && from == seed) {
            settle_seed();
        }
        set_rates(out_of(from));
        set_rates(m_nodes[to].in);
    }
    [[nodiscard]] double up_of(std::size_t from) const { return from == seed ? m_seed_up : m_nodes[from].is.up; }
    [[nodiscard]] static double count(std::vector<std::size_t> const& transfers) {
        return static_cast<double>(transfers.size());
    }
    void share_up(std::size_t from) {
        divide(up_of(from), out_of(from), &transfer::up, [this](transfer const& each) {
            return std::max(each.down, m_nodes[each.to].is.down / count(m_nodes[each.to].in));
        });
    }
    void share_down(std::size_t to) {
        divide(m_nodes[to].is.down, m_nodes[to].in, &transfer::down,
               [this](transfer const& each) { return std::max(each.up, up_of(each.from) / count(out_of(each.from))); });
    }
    /// Where the seed's parts differ much, those of the machines follow them, and the other way round: otherwise the
    /// seed would leave a part of its link to a machine that cannot use it, or to none.
    void settle_seed() {
        constexpr int rounds = 4;
        for (int round = 0; round < rounds; ++round) {
            for (auto const number : m_seed_out) {
                settle_down(m_transfers[number].to);
            }
            divide(m_seed_up, m_seed_out, &transfer::up, [this](transfer const& each) {
                auto const& to = m_nodes[each.to];
                return std::max({each.down, to.is.down / count(to.in), to.is.down - from_machines(to)});
            });
        }
        for (auto const number : m_seed_out) {
            settle_down(m_transfers[number].to);
            set_rates(m_nodes[m_transfers[number].to].in);
        }
    }
    /// The seed's transfers take what the seed gives them, at most.
    void settle_down(std::size_t to) {
        divide(m_nodes[to].is.down, m_nodes[to].in, &transfer::down, [this](transfer const& each) {
            return each.from == seed ? each.up : std::max(each.up, up_of(each.from) / count(out_of(each.from)));
        });
    }
    [[nodiscard]] double from_machines(node const& to) const {
        double rate = 0;
        for (auto const number : to.in) {
            auto const& each = m_transfers[number];
            rate += each.from == seed ? 0 : std::min(each.up, each.down);
        }
        return rate;
    }
    void set_rates(std::vector<std::size_t> const& transfers) {
        for (auto const number : transfers) {
            auto& each = m_transfers[number];
            auto const rate = std::min(each.up, each.down);
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
    template <class Limit>
    void divide(double link, std::vector<std::size_t> const& among, double transfer::*share, Limit limit) {
        m_limits.clear();
        double weights = 0;
        for (auto const number : among) {
            auto const& each = m_transfers[number];
            m_limits.emplace_back(limit(each) / each.weight, number);
            weights += each.weight;
        }
        std::ranges::sort(m_limits);
        for (auto const& [most, number] : m_limits) {
            auto& each = m_transfers[number];
            auto const part = each.weight * std::min(most, link / weights);
            each.*share = part;
            link -= part;
            weights -= each.weight;
        }
    }

    int const m_pieces;
    double const m_seed_up;
    std::mt19937 m_random;
    std::vector<int> m_holders;
    std::vector<node> m_nodes;
    std::vector<std::size_t> m_present;
    std::vector<transfer> m_transfers;
    std::vector<std::size_t> m_free;
    std::vector<std::size_t> m_seed_out;
    std::vector<std::size_t> m_wake;
    std::vector<std::pair<double, std::size_t>> m_limits; ///< reused memory
    std::priority_queue<event> m_events;
    double m_now = 0;
    double m_seed_sent = 0;
    bool m_uneven = false;
    std::uint64_t m_looks = 0;
    std::size_t m_done = 0;
    outcome m_outcome;
    std::vector<std::unique_ptr<shard>> m_shards;
};

} // namespace seedbed::test
