#include "daemon/swarm/piece_offers.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace seedbed {

namespace {

using namespace std::chrono_literals;

/// A peer is idle if it has received nothing from others for as long as the seed's link needs for this many pieces, but
/// not before it has waited much longer than it does between pieces, nor before an exchange of messages is over.
constexpr int idle_pieces = 4;
constexpr auto least_idle = 100ms;
constexpr auto most_idle = 4s;
/// A peer that has received nothing for this long has stalled, and so has one that has received everything that it was
/// given and does not announce it.
constexpr auto stalled_after = 3s;
constexpr auto silent_after = 12s;
/// How often rates are measured.
constexpr auto measuring_interval = 250ms;
/// The link counts as full from this part of its highest rate on.
constexpr double full_link = 0.8;
/// A peer that waits for this long is given a piece even if the link seems full: that shows whether it is.
constexpr auto probe_after = 1s;
/// Overdue pieces are searched for at most this often if none is found.
constexpr auto search_interval = 50ms;
/// How much is in flight to all peers, and at most to one of them, at low rates: the link stays full while the next
/// piece is given.
constexpr std::int64_t pieces_in_flight = 3;
constexpr std::int64_t pieces_per_peer = 1;
constexpr std::int64_t bytes_in_flight = 512 << 10;
constexpr std::int64_t bytes_per_peer = 256 << 10;
/// Changes sent to a peer at a time, of 10 bytes each.
constexpr std::size_t most_changes = 16384;

/// Adds to a moving average; 0: unknown.
void add_sample(piece_offers::clock::duration& average, piece_offers::clock::duration sample) {
    average = average == piece_offers::clock::duration::zero() ? sample : (7 * average + sample) / 8;
}

/// Adds to a moving average that starts from 0: the averages of parts add up to that of the whole.
void add_sample(double& average, double sample) {
    average = (3 * average + sample) / 4;
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
    m_members[who].fed = now;
    m_members[who].got = now;
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
    holder.stalled = false;
    if (holder.seed) {
        return;
    }
    if (auto const before = std::exchange(holder.got, now); before != clock::time_point{}) {
        add_sample(holder.pace, now - before);
    }
    if (holder.awaited.test(bit(piece))) {
        holder.active = now;
        no_longer_awaits(holder, bit(piece));
    } else {
        holder.fed = now;
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
    each.withheld.reset();
    each.told.reset();
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

bool piece_offers::refuses(peer who, int piece) {
    auto& asks = m_members[who];
    if (!known(piece) || !asks.withheld.test(bit(piece)) || (m_new.test(bit(piece)) && room() > 0)) {
        return false;
    }
    send(who);
    return true;
}

void piece_offers::requested(peer who, int piece, clock::time_point now) {
    auto& asks = m_members[who];
    asks.stalled = false;
    if (!known(piece) || asks.seed || asks.choked || asks.pieces.test(bit(piece))) {
        return;
    }
    // A peer may have requested a piece before it learned that the piece is withheld: it keeps one that is new.
    if (m_new.test(bit(piece))) {
        own(who, bit(piece), now);
        asks.has_news = asks.has_news || asks.withheld.test(bit(piece));
        asks.withheld.reset(bit(piece));
        send(who);
    }
    if (!asks.withheld.test(bit(piece))) {
        await(who, bit(piece), now);
    }
}

void piece_offers::sent(peer who, std::int64_t bytes, clock::time_point now) {
    auto& each = m_members[who];
    each.active = now;
    each.stalled = false;
    each.sent += bytes;
    set_owed(each, each.owed - bytes);
    measure(now);
    fill(now);
}

void piece_offers::left(peer who, clock::time_point now) {
    release_all(who);
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
    fill(now);
    try_idle_peer(now);
    for (peer who = 0; who < m_members.size(); ++who) {
        send(who);
    }
}

// --- how fast the peers are

void piece_offers::measure(clock::time_point now) {
    m_measured = m_measured == clock::time_point{} ? now : m_measured;
    auto const elapsed = now - m_measured;
    if (elapsed < measuring_interval) {
        return;
    }
    m_measured = now;
    m_rate = 0;
    for (auto& each : m_members) {
        auto const sent = static_cast<double>(std::exchange(each.sent, 0));
        add_sample(each.rate, sent / std::chrono::duration<double>(elapsed).count());
        m_rate += each.rate;
    }
    m_peak = std::max(m_rate, 0.98 * m_peak);
    find_late_peers(now);
}

/// A peer is late, until it has received what it was given, if the link is not full, but could have sent all that is to
/// be in flight since. While the link is full, each peer has to wait for its part of it.
void piece_offers::find_late_peers(clock::time_point now) {
    if (m_rate >= full_link * m_peak) {
        return;
    }
    auto const limit = std::chrono::duration<double>(static_cast<double>(goal()) / m_peak);
    for (auto& each : m_members) {
        if (each.owed > 0 && now - each.given > limit) {
            each.late = true;
            set_owed(each, each.owed);
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

/// Gives a piece to a peer that has waited for long, although the link seems full: perhaps only the peers being served
/// are slow.
void piece_offers::try_idle_peer(clock::time_point now) {
    auto const waits = [&](member const& each) {
        return is_idle(each, now) && each.owed == 0 && now - std::max(each.fed, each.active) > probe_after;
    };
    if (!m_enabled || room() > 0 || std::ranges::none_of(m_members, waits)) {
        return;
    }
    if (auto const given = copy_for_idle(now)) {
        give(*given, now);
    }
}

// --- what is given to whom

/// Gives pieces until enough bytes are in flight.
void piece_offers::fill(clock::time_point now) {
    while (m_enabled && room() > 0) {
        auto const next = m_new.any() ? new_piece() : another_copy(now);
        if (!next) {
            return;
        }
        give(*next, now);
    }
}

void piece_offers::give(gift const& given, clock::time_point now) {
    auto const [to, piece] = given;
    auto& state = m_pieces[piece];
    if (state.owner != no_peer && !state.spread) {
        add_sample(m_members[state.owner].spread_time, now - state.given); // at least
        own(to, piece, now);
    } else if (state.holders == 0) {
        own(to, piece, now);
    }
    await(to, piece, now);
    m_members[to].withheld.reset(piece);
    m_members[to].has_news = true;
    send(to);
}

std::int64_t piece_offers::goal() const noexcept {
    return std::max({pieces_in_flight * m_shape.piece_length, bytes_in_flight, static_cast<std::int64_t>(m_rate / 4)});
}

std::int64_t piece_offers::most(member const& to) const noexcept {
    return std::max({pieces_per_peer * m_shape.piece_length, bytes_per_peer, static_cast<std::int64_t>(to.rate / 4)});
}

bool piece_offers::takes_more(member const& each) const noexcept {
    if (!each.connected || each.seed || !each.understands || each.stalled || each.withheld.none()) {
        return false;
    }
    // A choked peer that is interested waits for an upload slot. If it is not, it is choked because it wants nothing:
    // the first offer makes it interested.
    return each.choked ? !each.interested && each.owed == 0 : each.owed < most(each);
}

bool piece_offers::is_idle(member const& each, clock::time_point now) const noexcept {
    if (!takes_more(each)) {
        return false;
    }
    auto const for_pieces = std::chrono::duration<double>(
        m_peak > 0 ? idle_pieces * static_cast<double>(m_shape.piece_length) / m_peak : 0);
    auto const wait = std::max(std::chrono::duration_cast<clock::duration>(for_pieces), idle_pieces * each.pace);
    return now - each.fed > std::clamp<clock::duration>(wait, least_idle, most_idle);
}

/// The peer that will spread a new piece soonest: the one with the fewest pieces that no other peer has, unless it is
/// slow.
piece_offers::peer piece_offers::best_peer(std::size_t piece) const {
    auto best = no_peer;
    // While a peer waits for an upload slot, there is none for one that is choked.
    auto const waits = [](member const& each) { return each.connected && each.choked && each.interested; };
    auto const scarce = std::ranges::any_of(m_members, waits);
    auto const order = [scarce](member const& each) {
        return std::tuple(scarce && each.choked, each.slowness * (each.unspread + 1), each.owed, each.turn);
    };
    for (peer who = 0; who < m_members.size(); ++who) {
        auto const& each = m_members[who];
        auto const may = takes_more(each) && (piece == piece_set::npos || each.withheld.test(piece));
        if (may && (best == no_peer || order(each) < order(m_members[best]))) {
            best = who;
        }
    }
    return best;
}

std::optional<piece_offers::gift> piece_offers::new_piece() {
    auto const to = best_peer(piece_set::npos); // which lacks all of them
    if (to == no_peer) {
        return std::nullopt;
    }
    // Around the image from the last one: the disk is read in order.
    auto const piece = m_next == 0 ? m_new.find_first() : m_new.find_next(m_next - 1);
    m_next = piece == piece_set::npos ? m_new.find_first() : piece;
    return gift{to, m_next};
}

std::optional<piece_offers::gift> piece_offers::another_copy(clock::time_point now) {
    auto copy = copy_for_idle(now);
    if (!copy && now - m_searched >= search_interval) {
        copy = overdue_copy(now);
        m_searched = copy ? m_searched : now;
    }
    return copy;
}

/// The rarest piece for the peer that has waited longest.
std::optional<piece_offers::gift> piece_offers::copy_for_idle(clock::time_point now) const {
    auto to = no_peer;
    auto const since = [this](peer who) { return std::tuple(m_members[who].owed, m_members[who].fed); };
    for (peer who = 0; who < m_members.size(); ++who) {
        if (is_idle(m_members[who], now) && (to == no_peer || since(who) < since(to))) {
            to = who;
        }
    }
    if (to == no_peer) {
        return std::nullopt;
    }
    auto const& withheld = m_members[to].withheld;
    auto const rarity = [this](std::size_t piece) {
        auto const& state = m_pieces[piece];
        return std::pair(state.holders + state.awaiting, state.given);
    };
    auto rarest = withheld.find_first();
    for (auto piece = withheld.find_next(rarest); piece != piece_set::npos; piece = withheld.find_next(piece)) {
        rarest = rarity(piece) < rarity(rarest) ? piece : rarest;
    }
    return gift{to, rarest};
}

/// The piece that has waited longest to be passed on, for the best peer that lacks it.
std::optional<piece_offers::gift> piece_offers::overdue_copy(clock::time_point now) const {
    if (best_peer(piece_set::npos) == no_peer) {
        return std::nullopt;
    }
    std::vector<std::size_t> overdue;
    for (std::size_t piece = 0; piece < m_pieces.size(); ++piece) {
        auto const& state = m_pieces[piece];
        if (state.owner != no_peer && !state.spread && now - state.given > overdue_after()) {
            overdue.push_back(piece);
        }
    }
    std::ranges::sort(overdue, {}, [this](std::size_t piece) { return m_pieces[piece].given; });
    for (auto const piece : overdue) {
        if (auto const to = best_peer(piece); to != no_peer) {
            return gift{to, piece};
        }
    }
    return std::nullopt;
}

piece_offers::clock::duration piece_offers::overdue_after() const noexcept {
    constexpr auto unknown = 8s;
    return m_spread_time == clock::duration::zero() ? unknown : 2 * m_spread_time;
}

void piece_offers::await(peer who, std::size_t piece, clock::time_point now) {
    auto& each = m_members[who];
    if (!each.awaited.test(piece)) {
        each.turn = ++m_turn;
        each.given = now;
        each.active = now;
        each.awaited.set(piece);
        ++m_pieces[piece].awaiting;
        set_owed(each, each.owed + m_shape.piece_length);
    }
}

/// Nothing is owed beyond what it still awaits.
void piece_offers::no_longer_awaits(member& who, std::size_t piece) {
    if (who.awaited.test(piece)) {
        who.awaited.reset(piece);
        --m_pieces[piece].awaiting;
        set_owed(who, std::min(who.owed, static_cast<std::int64_t>(who.awaited.count()) * m_shape.piece_length));
    }
}

void piece_offers::own(peer who, std::size_t piece, clock::time_point now) {
    disown(piece);
    auto& state = m_pieces[piece];
    state.owner = who;
    state.spread = false;
    state.given = now;
    m_new.reset(piece);
    ++m_members[who].unspread;
}

/// The piece no longer has an owner, and is new again if no peer has it.
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
    no_longer_awaits(each, piece);
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

/// The peer leaves, or counts as a seed from now on.
void piece_offers::release_all(peer who) {
    auto& from = m_members[who];
    for (std::size_t piece = 0; piece < m_pieces.size(); ++piece) {
        no_longer_awaits(from, piece);
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
    who.late = who.late && bytes > 0;
    auto const stuck = who.late ? bytes : 0;
    m_stuck += stuck - std::exchange(who.stuck, stuck);
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
