#include "daemon/swarm/piece_offers.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace seedbed {

namespace {

using namespace std::chrono_literals;

/// How long a peer waits for an offer, in seconds. A second in which it receives nothing counts as four.
constexpr int patience = 8;
constexpr int most_generosity = 16; ///< doublings
/// A peer that has received nothing for this long has stalled, and so has one that has received everything that it was
/// given and does not announce it.
constexpr auto stalled_after = 3s;
constexpr auto silent_after = 12s;
/// A peer that was given a piece this recently is not yet slow.
constexpr auto grace = 1s;
/// Overdue pieces are searched for at most this often.
constexpr auto search_interval = 200ms;
/// How much is in flight to all peers, and at most to one of them, at low rates: the link stays full while the next
/// piece is given.
constexpr std::int64_t pieces_in_flight = 4;
constexpr std::int64_t pieces_per_peer = 2;
constexpr std::int64_t bytes_in_flight = 1 << 20;
constexpr std::int64_t bytes_per_peer = 512 << 10;
/// Changes sent to a peer at a time, of 10 bytes each.
constexpr std::size_t most_changes = 16384;

/// Adds to a moving average; 0: unknown.
void add_sample(piece_offers::clock::duration& average, piece_offers::clock::duration sample) {
    average = average == piece_offers::clock::duration::zero() ? sample : (7 * average + sample) / 8;
}

std::size_t bit(int piece) {
    return static_cast<std::size_t>(piece);
}

} // namespace

piece_offers::piece_offers(image_shape shape, sender send)
    : m_shape(shape)
    , m_send(std::move(send))
    , m_pieces(bit(shape.pieces))
    , m_new(bit(shape.pieces))
    , m_next(bit(shape.first_piece)) {
    m_new.set();
}

void piece_offers::set_enabled(bool enabled, clock::time_point now) {
    if (std::exchange(m_enabled, enabled) == enabled) {
        return;
    }
    for (peer who = 0; who < m_members.size(); ++who) {
        withhold_unawaited(who);
        send(who);
    }
    fill(now);
}

// --- events of peers

piece_offers::peer piece_offers::joined() {
    auto const free = std::ranges::find(m_members, false, &member::connected);
    auto const which = static_cast<peer>(free - m_members.begin());
    if (free == m_members.end()) {
        m_members.emplace_back();
    }
    auto& added = m_members[which];
    for (auto* const set : {&added.pieces, &added.awaited, &added.withheld, &added.told}) {
        *set = no_pieces();
    }
    added.connected = true;
    return which;
}

void piece_offers::understands(peer who, clock::time_point now) {
    if (std::exchange(m_members[who].understands, true)) {
        return;
    }
    withhold_unawaited(who);
    send(who);
    fill(now);
}

void piece_offers::has(peer who, int piece, clock::time_point now) {
    auto& holder = m_members[who];
    if (!known(piece) || holder.pieces.test(bit(piece))) {
        return;
    }
    holder.pieces.set(bit(piece));
    holder.withheld.reset(bit(piece));
    holder.told.reset(bit(piece)); // no longer of interest
    holder.progressed = true;
    holder.stalled = false;
    if (holder.awaited.test(bit(piece))) {
        holder.active = now;
        holder.awaited.reset(bit(piece));
        forget_awaited(holder);
    }
    if (holder.seed) {
        return;
    }
    auto& state = m_pieces[bit(piece)];
    ++state.holders;
    m_new.reset(bit(piece));
    if (state.owner != no_peer && state.owner != who && !std::exchange(state.spread, true)) {
        auto& owner = m_members[state.owner];
        --owner.unspread;
        add_sample(owner.spread_time, now - state.given);
        add_sample(m_spread_time, now - state.given);
    }
    fill(now);
}

void piece_offers::is_seed(peer who, clock::time_point now) {
    auto& each = m_members[who];
    if (each.seed) {
        return;
    }
    release_all(who);
    each.seed = true;
    each.awaited.reset();
    each.withheld.reset();
    each.told.reset();
    set_owed(each, 0);
    fill(now);
}

void piece_offers::set_interested(peer who, bool interested, clock::time_point now) {
    m_members[who].interested = interested;
    fill(now);
}

void piece_offers::set_choked(peer who, bool choked, clock::time_point now) {
    auto& each = m_members[who];
    each.choked = choked;
    // A peer that wants nothing is choked, too. It keeps what it was given since: the offer is on its way.
    if (choked && each.interested) {
        take_back_awaited(who);
        send(who);
    }
    fill(now);
}

void piece_offers::requested(peer who, int piece, clock::time_point now) {
    auto& asks = m_members[who];
    asks.stalled = false;
    if (!known(piece) || asks.seed || asks.choked || asks.pieces.test(bit(piece))) {
        return;
    }
    // A peer may have requested a piece before it knew that it is withheld: it keeps one that is new.
    if (m_new.test(bit(piece))) {
        own(who, bit(piece), now);
        asks.has_news = asks.has_news || asks.withheld.test(bit(piece));
        asks.withheld.reset(bit(piece));
        send(who);
    }
    if (!asks.withheld.test(bit(piece))) {
        await(who, bit(piece));
    }
}

void piece_offers::sent(peer who, std::int64_t bytes, clock::time_point now) {
    auto& each = m_members[who];
    each.active = now;
    each.progressed = true;
    each.stalled = false;
    each.sent += bytes;
    set_owed(each, each.owed - bytes);
    fill(now);
}

void piece_offers::left(peer who, clock::time_point now) {
    release_all(who);
    set_owed(m_members[who], 0);
    m_members[who] = {};
    fill(now);
}

void piece_offers::second_passed(clock::time_point now) {
    for (peer who = 0; who < m_members.size(); ++who) {
        auto const& each = m_members[who];
        auto const limit = each.owed > 0 ? stalled_after : std::max<clock::duration>(silent_after, overdue_after());
        if (each.awaited.any() && now - each.active > limit) {
            take_back_awaited(who);
            m_members[who].stalled = true;
        }
    }
    measure(now);
    find_slow_peers(now);
    for (peer who = 0; who < m_members.size(); ++who) {
        if (m_members[who].connected) {
            wait(who, now);
            send(who);
        }
    }
    fill(now);
}

/// A peer fills the link with at most its share of what is sent: more would wait for that peer.
void piece_offers::measure(clock::time_point now) {
    m_rate = 0;
    for (auto& each : m_members) {
        each.rate = std::exchange(each.sent, 0);
        m_rate += each.rate;
    }
    m_stuck = 0;
    for (auto const& each : m_members) {
        if (m_rate > 0 && now - each.given > grace) {
            auto const share =
                static_cast<double>(goal()) * static_cast<double>(each.rate) / static_cast<double>(m_rate);
            m_stuck += std::max<std::int64_t>(each.owed - static_cast<std::int64_t>(share), 0);
        }
    }
}

/// A peer is slow if it has needed more than twice the average time to pass on its pieces, or still needs it.
void piece_offers::find_slow_peers(clock::time_point now) {
    std::vector<clock::duration> oldest(m_members.size());
    for (auto const& state : m_pieces) {
        if (state.owner != no_peer && !state.spread) {
            oldest[state.owner] = std::max(oldest[state.owner], now - state.given);
        }
    }
    auto const usual = std::chrono::duration<double>(2 * m_spread_time);
    for (peer who = 0; who < m_members.size(); ++who) {
        auto& each = m_members[who];
        auto const time = std::chrono::duration<double>(std::max(each.spread_time, oldest[who]));
        each.slowness = usual.count() > 0 ? std::max(time / usual, 1.0) : 1.0;
    }
}

// --- what is given to whom

/// Gives pieces until enough bytes are in flight.
void piece_offers::fill(clock::time_point now) {
    while (m_enabled && room() > 0) {
        auto const who = next_peer();
        auto const piece = who == no_peer ? piece_set::npos : next_piece(m_members[who], now);
        if (piece == piece_set::npos) {
            return;
        }
        m_members[who].withheld.reset(piece);
        m_members[who].has_news = true;
        own(who, piece, now);
        await(who, piece);
        send(who);
    }
}

std::int64_t piece_offers::goal() const noexcept {
    return std::max({pieces_in_flight * m_shape.piece_length, bytes_in_flight, m_rate / 2});
}

/// The peer that spreads a new piece soonest: the one with the fewest pieces that only it has got, unless it is slow.
piece_offers::peer piece_offers::next_peer() const {
    auto best = no_peer;
    // A choked peer that is interested waits for an upload slot. If none does, there is a slot for a peer that is
    // choked because it wants nothing: the first offer makes it interested.
    auto const waits = [](member const& each) { return each.connected && each.choked && each.interested; };
    auto const scarce = std::ranges::any_of(m_members, waits);
    auto const order = [scarce](member const& each) {
        return std::tuple(scarce && each.choked, each.slowness * (each.unspread + 1), each.owed, each.turn);
    };
    for (peer who = 0; who < m_members.size(); ++who) {
        auto const& each = m_members[who];
        if (!each.connected || each.seed || !each.understands || each.stalled || each.withheld.none()) {
            continue;
        }
        auto const most = std::max({pieces_per_peer * m_shape.piece_length, bytes_per_peer, each.rate / 2});
        auto const eligible = each.choked ? !each.interested && each.owed == 0 : each.owed < most;
        if (eligible && (best == no_peer || order(each) < order(m_members[best]))) {
            best = who;
        }
    }
    return best;
}

std::size_t piece_offers::next_piece(member const& to, clock::time_point now) {
    if (m_new.any()) {
        // Round the image from the last one: the disk is read in order.
        auto piece = m_next == 0 ? m_new.find_first() : m_new.find_next(m_next - 1);
        piece = piece == piece_set::npos ? m_new.find_first() : piece;
        m_next = piece;
        return piece;
    }
    if (now - m_searched >= search_interval) {
        m_searched = now;
        find_overdue(now);
    }
    auto const found = std::ranges::find_if(m_overdue, [&](std::size_t piece) {
        return to.withheld.test(piece) && now - m_pieces[piece].given > overdue_after();
    });
    if (found == m_overdue.end()) {
        return piece_set::npos;
    }
    auto const piece = *found;
    m_overdue.erase(found);
    return piece;
}

void piece_offers::find_overdue(clock::time_point now) {
    m_overdue.clear();
    for (std::size_t piece = 0; piece < m_pieces.size(); ++piece) {
        auto const& state = m_pieces[piece];
        if (state.owner != no_peer && !state.spread && now - state.given > overdue_after()) {
            m_overdue.push_back(piece);
        }
    }
    std::ranges::sort(m_overdue, {},
                      [this](std::size_t piece) { return std::pair(m_pieces[piece].holders, m_pieces[piece].given); });
}

piece_offers::clock::duration piece_offers::overdue_after() const noexcept {
    constexpr auto unknown = 8s;
    return m_spread_time == clock::duration::zero() ? unknown : 2s + 3 * m_spread_time;
}

void piece_offers::await(peer who, std::size_t piece) {
    auto& each = m_members[who];
    if (!each.awaited.test(piece)) {
        each.awaited.set(piece);
        set_owed(each, each.owed + m_shape.piece_length);
    }
}

void piece_offers::own(peer who, std::size_t piece, clock::time_point now) {
    disown(piece);
    auto& state = m_pieces[piece];
    state.owner = who;
    state.before = state.holders;
    state.spread = false;
    state.given = now;
    m_new.reset(piece);
    auto& to = m_members[who];
    ++to.unspread;
    to.turn = ++m_turn;
    to.given = now;
    to.active = now;
}

/// The piece has no owner any more, and is new again if no peer has it.
void piece_offers::disown(std::size_t piece) {
    auto& state = m_pieces[piece];
    if (state.owner != no_peer && !state.spread) {
        --m_members[state.owner].unspread;
    }
    state.owner = no_peer;
    m_new.set(piece, state.holders == 0);
}

void piece_offers::take_back(peer who, std::size_t piece) {
    auto& each = m_members[who];
    if (m_pieces[piece].owner == who) {
        disown(piece);
    }
    each.awaited.reset(piece);
    forget_awaited(each);
    if (m_enabled && each.understands) {
        each.withheld.set(piece);
        each.has_news = true;
    }
}

void piece_offers::take_back_awaited(peer who) {
    auto const awaited = m_members[who].awaited;
    for (auto piece = awaited.find_first(); piece != piece_set::npos; piece = awaited.find_next(piece)) {
        take_back(who, piece);
    }
}

/// After a change of `awaited`: nothing is owed beyond it.
void piece_offers::forget_awaited(member& who) {
    set_owed(who, std::min(who.owed, static_cast<std::int64_t>(who.awaited.count()) * m_shape.piece_length));
}

/// The peer leaves, or counts as a seed from now on.
void piece_offers::release_all(peer who) {
    auto const& from = m_members[who];
    for (std::size_t piece = 0; piece < m_pieces.size(); ++piece) {
        auto& state = m_pieces[piece];
        auto const had = from.pieces.test(piece) && !from.seed;
        state.holders -= had ? 1 : 0;
        if (state.owner == who) {
            disown(piece);
        } else if (had && state.owner == no_peer) {
            m_new.set(piece, state.holders == 0);
        }
    }
}

void piece_offers::set_owed(member& who, std::int64_t bytes) noexcept {
    bytes = std::max<std::int64_t>(bytes, 0);
    m_owed += bytes - who.owed;
    who.owed = bytes;
}

// --- what the peers are told

void piece_offers::withhold_unawaited(peer from) {
    auto& each = m_members[from];
    if (!each.connected || !each.understands || each.seed) {
        return;
    }
    each.withheld.reset();
    if (m_enabled) {
        each.withheld = ~(each.pieces | each.awaited);
    }
    each.has_news = true;
}

/// A second has passed for a peer: if it waits while the link is not full, it is offered more.
void piece_offers::wait(peer who, clock::time_point now) {
    auto& each = m_members[who];
    auto const progressed = std::exchange(each.progressed, false);
    auto const is_served = each.owed > 0 || room() <= 0;
    // A choked peer waits for its turn, not for an offer.
    auto const waits = each.withheld.any() && !is_served && (!each.interested || !each.choked);
    each.waited = waits ? each.waited + (progressed ? 1 : 4) : 0;
    if (each.waited >= patience) {
        each.waited = 0;
        offer_more(who, now);
    }
}

/// Offers the rarest pieces that the peer lacks. All peers that wait are offered the same ones, so that each is read
/// from the disk once.
void piece_offers::offer_more(peer to, clock::time_point now) {
    auto& waiting = m_members[to];
    auto const most = std::size_t{1} << waiting.generosity;
    waiting.generosity = std::min(waiting.generosity + 1, most_generosity);
    std::vector<std::pair<int, std::size_t>> rarest;
    for (auto piece = waiting.withheld.find_first(); piece != piece_set::npos;
         piece = waiting.withheld.find_next(piece)) {
        rarest.emplace_back(m_pieces[piece].holders, piece);
    }
    auto const count = std::min(most, rarest.size());
    std::ranges::partial_sort(rarest, rarest.begin() + static_cast<std::ptrdiff_t>(count));
    for (std::size_t i = 0; i < count && room() > 0; ++i) {
        waiting.withheld.reset(rarest[i].second);
        waiting.has_news = true;
        waiting.active = now;
        await(to, rarest[i].second);
    }
}

void piece_offers::send(peer to) {
    auto& informed = m_members[to];
    if (!informed.has_news || !informed.understands) {
        return;
    }
    m_changes.clear();
    informed.has_news = false;
    m_differing = informed.withheld;
    m_differing ^= informed.told;
    for (auto piece = m_differing.find_first(); piece != piece_set::npos; piece = m_differing.find_next(piece)) {
        if (m_changes.size() == most_changes) {
            informed.has_news = true;
            break;
        }
        m_changes.push_back({static_cast<int>(piece), !informed.withheld.test(piece)});
        informed.told.flip(piece);
    }
    if (!m_changes.empty()) {
        m_send(to, m_changes);
    }
}

} // namespace seedbed
