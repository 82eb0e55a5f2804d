#include "core/backend/hash_ahead.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include "core/backend/work_gate.hpp"

namespace seedbed {

namespace {

/// Blocks that arrive before a worker is woken for them: 256 KiB, few enough to be still in the CPU's cache, and enough
/// to be worth the wake-up.
constexpr std::int32_t ahead_batch = 16;
/// Blocks that a worker takes at a time.
constexpr std::int32_t ahead_chunk = 64;
/// The number of waiting blocks of another piece that makes it worth hashing along.
constexpr std::int32_t partner_batch = 8;
/// Two pieces may wait only if they take up at most 1/waiting_share of the pool.
constexpr std::int64_t waiting_share = 4;

} // namespace

struct hash_ahead::piece_state {
    explicit piece_state(piece_index which)
        : piece(which) {}

    piece_index const piece;
    clock::time_point const began = clock::now();

    // Guarded by the hasher's mutex:
    std::vector<bool> arrived;
    std::int32_t announced = 0; ///< value of ready for which a worker was woken, or need not be

    std::atomic<std::int32_t> ready{0};  ///< blocks from the start of the piece that have arrived
    std::atomic<std::int32_t> hashed{0}; ///< blocks that have been hashed; changes under the mutex
    std::atomic<bool> scheduled{false};  ///< a worker will read `ready`
    std::atomic<bool> retired{false};    ///< its hash is no longer needed
    std::atomic<bool> stopped{false};    ///< a block was no longer in memory: the rest is hashed at the end

    std::mutex mutex; ///< guards the members below
    sha1_sum sha1;

    [[nodiscard]] bool has_more() const noexcept {
        return hashed.load() < ready.load() && !stopped.load() && !retired.load(std::memory_order_relaxed);
    }
};

/// The blocks that are hashed together.
struct hash_ahead::sha1_parts {
    std::array<sha1_part, most_sha1_lanes> part;
    std::size_t count = 0;
};

/// A piece that is hashed along with others: its arrived blocks, up to ahead_chunk.
class hash_ahead::lane {
public:
    lane() = default;
    lane(image_io& io, piece_state& state, std::int32_t limit)
        : m_state(&state)
        , m_begin(state.hashed.load(std::memory_order_relaxed))
        , m_end(std::min(state.ready.load(), m_begin + limit))
        , m_size(io.image().piece_size(state.piece)) {
        static_cast<void>(io.cache().collect(io.number(), state.piece, m_begin, m_end, m_blocks));
    }

    /// Adds its next block to \p parts, if there is one.
    void add_next(sha1_parts& parts) {
        auto const block = m_begin + m_done;
        if (block >= m_end) {
            return;
        }
        auto const& memory = m_blocks[static_cast<std::size_t>(m_done)];
        if (!memory) {
            m_state->stopped.store(true);
            m_end = block;
            return;
        }
        auto const length = std::min(block_size, m_size - block * block_size);
        parts.part[parts.count++] = {&m_state->sha1, memory.bytes().first(static_cast<std::size_t>(length))};
        ++m_done;
    }
    void commit() { m_state->hashed.store(m_begin + m_done); }

private:
    piece_state* m_state = nullptr;
    std::int32_t m_begin = 0;
    std::int32_t m_end = 0;
    std::int32_t m_size = 0;
    std::int32_t m_done = 0;
    std::array<block_ref, ahead_chunk> m_blocks;
};

hash_ahead::hash_ahead(image_io& io, worker_pool& workers, hasher_options options)
    : m_io(io)
    , m_workers(workers)
    , m_options{options.ahead && io.image().torrent().v1 && io.image().packed() == nullptr, options.longest_wait} {}

hash_ahead::~hash_ahead() {
    m_gate->close();
}

hash_ahead::state_ptr hash_ahead::make_state(piece_index piece) const {
    auto state = std::make_shared<piece_state>(piece);
    state->arrived.resize(static_cast<std::size_t>(m_io.image().blocks_in_piece(piece)));
    return state;
}

/// Whether a new piece waits for the next one. Both must then still be in memory.
bool hash_ahead::may_wait(piece_state const& state) const {
    auto const room = m_io.cache().capacity() / waiting_share;
    return m_arrives_fast && !m_waiting && 2 * static_cast<std::int64_t>(state.arrived.size()) <= room &&
           sha1_in_lanes();
}

void hash_ahead::block_written(piece_index piece, std::int32_t block) {
    if (!m_options.ahead) {
        return;
    }
    state_ptr wake;
    try {
        wake = note_written(piece, block);
    } catch (std::bad_alloc const&) {
        // The piece is hashed when it is complete; discard any hash of its old content.
        forget(piece);
    }
    if (wake) {
        static_cast<void>(wake_worker(wake));
    }
}

hash_ahead::state_ptr hash_ahead::note_written(piece_index piece, std::int32_t block) {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_states.find(piece);
    auto state = at == m_states.end() ? nullptr : at->second;
    // Written a second time: its old content may have been hashed. Start over, as if nothing had arrived; otherwise a
    // piece that is sent again as a whole would be rehashed with each of its blocks.
    if (!state || block < state->ready.load(std::memory_order_relaxed)) {
        auto begun = make_state(piece);
        m_states.insert_or_assign(piece, begun);
        if (state) {
            state->retired.store(true, std::memory_order_relaxed);
            if (m_waiting == state) {
                m_waiting.reset();
            }
        }
        state = std::move(begun);
        if (may_wait(*state)) {
            m_waiting = state;
        }
    }
    state->arrived[static_cast<std::size_t>(block)] = true;
    auto const count = static_cast<std::int32_t>(state->arrived.size());
    auto ready = state->ready.load(std::memory_order_relaxed);
    while (ready < count && state->arrived[static_cast<std::size_t>(ready)]) {
        ++ready;
    }
    state->ready.store(ready); // before reading `scheduled`; a worker does the reverse
    if (ready - state->announced >= ahead_batch || (ready == count && state->announced < count)) {
        state->announced = ready;
        if (m_waiting) {
            m_arrived.notify_one();
        } else if (!state->scheduled.exchange(true)) {
            return state;
        }
    }
    return nullptr;
}

/// \return false if there was no memory; the piece is then hashed when it is complete.
bool hash_ahead::wake_worker(state_ptr const& state) {
    try {
        m_workers.submit([this, gate = m_gate, state] { gate->enter([this, &state] { run_ahead(state); }); });
        return true;
    } catch (std::bad_alloc const&) {
        state->scheduled.store(false);
        return false;
    }
}

hash_ahead::state_ptr hash_ahead::find_partner(std::span<state_ptr const> taken) const {
    for (auto const& [piece, state] : m_states) {
        auto const there = state->ready.load() - state->hashed.load();
        if (there >= partner_batch && state->has_more() && std::ranges::find(taken, state) == taken.end()) {
            return state;
        }
    }
    return nullptr;
}

/// Hashes some arrived blocks of a piece, together with those of other pieces. \return false if none are left. The
/// piece's mutex is released between calls, for a thread that needs the hash. \param together hash the same number of
/// blocks of each piece.
bool hash_ahead::advance(state_ptr const& state, bool together) {
    std::array<state_ptr, most_sha1_lanes> states{state};
    std::array<std::unique_lock<std::mutex>, most_sha1_lanes> locks;
    std::size_t count = 1;
    locks[0] = std::unique_lock(state->mutex);
    if (!state->has_more()) {
        return false;
    }
    if (sha1_in_lanes()) {
        std::scoped_lock const lock(m_mutex);
        while (count < states.size()) {
            auto const partner = find_partner(std::span(states).first(count));
            if (!partner) {
                break;
            }
            // Only try: another worker may hold it and be waiting for this one.
            locks[count] = std::unique_lock(partner->mutex, std::try_to_lock);
            if (!locks[count]) {
                break;
            }
            states[count++] = partner;
        }
    }
    auto limit = ahead_chunk;
    if (together) {
        for (auto const& each : std::span(states).first(count)) {
            limit = std::min(limit, each->ready.load() - each->hashed.load());
        }
    }
    std::array<lane, most_sha1_lanes> lanes;
    for (std::size_t i = 0; i < count; ++i) {
        lanes[i] = lane(m_io, *states[i], limit);
    }
    sha1_parts parts;
    do {
        parts.count = 0;
        for (std::size_t i = 0; i < count; ++i) {
            lanes[i].add_next(parts);
        }
        sha1_update(std::span(parts.part).first(parts.count));
    } while (parts.count > 0);
    for (std::size_t i = 0; i < count; ++i) {
        lanes[i].commit();
    }
    return true;
}

void hash_ahead::run_ahead(state_ptr const& state) {
    for (;;) {
        while (advance(state, false)) {
        }
        state->scheduled.store(false);
        if (!state->has_more() || state->scheduled.exchange(true)) {
            return;
        }
    }
}

/// Hashes the rest of the piece that is in memory. A piece that waits for the next one continues to wait, but not for
/// long.
void hash_ahead::finish_ahead(state_ptr const& state) {
    auto const deadline = clock::now() + m_options.longest_wait;
    {
        std::unique_lock lock(m_mutex);
        while (m_waiting == state && state->has_more()) {
            auto const taken = std::array{state};
            if (!find_partner(taken) && m_arrived.wait_until(lock, deadline) == std::cv_status::timeout) {
                break;
            }
            lock.unlock();
            if (!advance(state, true)) {
                lock.lock();
                break;
            }
            lock.lock();
        }
    }
    while (advance(state, false)) {
    }
    {
        std::scoped_lock const lock(m_mutex);
        m_arrives_fast = clock::now() - state->began <= 2 * m_options.longest_wait;
    }
    stop_waiting_for(state);
}

/// The next pieces are again hashed as they arrive.
void hash_ahead::stop_waiting_for(state_ptr const& state) {
    {
        std::scoped_lock const lock(m_mutex);
        auto const stuck = m_waiting && clock::now() - m_waiting->began > 10 * m_options.longest_wait;
        if (m_waiting != state && !stuck) {
            return;
        }
        m_waiting.reset();
    }
    auto const next = [this]() -> state_ptr {
        std::scoped_lock const lock(m_mutex);
        for (auto const& [piece, other] : m_states) {
            if (other->has_more() && !other->scheduled.exchange(true)) {
                return other;
            }
        }
        return nullptr;
    };
    for (auto other = next(); other && wake_worker(other); other = next()) {
    }
}

hash_ahead::state_ptr hash_ahead::take(piece_index piece) {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_states.find(piece);
    if (at == m_states.end()) {
        return nullptr;
    }
    auto state = std::move(at->second);
    m_states.erase(at);
    return state;
}

hash_ahead::beginning hash_ahead::finish(piece_index piece) {
    auto const state = take(piece);
    if (!state) {
        return {};
    }
    finish_ahead(state);
    state->retired.store(true, std::memory_order_relaxed);
    std::scoped_lock const lock(state->mutex);
    return {state->sha1, state->hashed.load()};
}

void hash_ahead::forget_all() {
    for (;;) {
        piece_index any;
        {
            std::scoped_lock const lock(m_mutex);
            if (m_states.empty()) {
                return;
            }
            any = m_states.begin()->first;
        }
        forget(any);
    }
}

void hash_ahead::forget(piece_index piece) {
    if (auto const state = take(piece)) {
        state->retired.store(true, std::memory_order_relaxed);
        stop_waiting_for(state);
    }
}

} // namespace seedbed
