#include "core/backend/piece_hasher.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <new>
#include <utility>
#include <vector>

#include <libtorrent/hasher.hpp>

#include "core/backend/piece_reader.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// Blocks that come before a worker is woken for them: 256 KiB, little enough to be still in the CPU's cache, and
/// enough to be worth waking somebody.
constexpr std::int32_t ahead_batch = 16;
/// Blocks that a worker takes at a time.
constexpr std::int32_t ahead_chunk = 64;
/// Blocks that are read at a time: 1 MiB, with the next as many under way.
constexpr std::int32_t read_chunk = 64;

void update(lt::hasher& sha1, std::span<std::byte const> bytes) {
    sha1.update(reinterpret_cast<char const*>(bytes.data()), static_cast<int>(bytes.size()));
}

lt::sha256_hash sha256_of(std::span<std::byte const> bytes) {
    return lt::hasher256(reinterpret_cast<char const*>(bytes.data()), static_cast<int>(bytes.size())).final();
}

/// The buffers of a hash worker, kept from piece to piece.
std::array<piece_reader, 2>& worker_readers() {
    thread_local std::array<piece_reader, 2> readers;
    return readers;
}

/// However its life ends, nothing is read into the worker's buffers any more, and they hold no blocks.
struct finished_readers {
    finished_readers() = default;
    finished_readers(finished_readers const&) = delete;
    finished_readers& operator=(finished_readers const&) = delete;
    ~finished_readers() {
        for (auto& reader : worker_readers()) {
            reader.stop();
        }
    }
};

/// Calls \p consume(number, bytes) for the blocks [begin, end) of a piece, in order, the last one cut to the piece's
/// end. The next chunk is read while one is consumed.
template <class Consume>
result<void, io_error> for_each_block(image_storage& image, std::int32_t piece, std::int32_t begin, std::int32_t end,
                                      bool keep, Consume const& consume) {
    if (begin >= end) {
        return {};
    }
    auto const chunk = std::clamp(image.io().read_ahead(), read_chunk, piece_reader::most_blocks);
    auto const& cache = image.io().cache();
    // Several workers who each read a piece chunk by chunk would send a head to and fro: all of a piece at once, where
    // there is room for two.
    bool const whole = keep && image.io().in_device_order() &&
                       cache.filling() + (end - begin) <= cache.capacity() / 2 && end - begin <= cache.clean_limit();
    auto const start = [&](piece_reader& reader, std::int32_t from) {
        auto const until = std::min(end, from + chunk);
        reader.begin(image, piece, from, until, keep, whole ? end : until);
    };
    auto const size = image.piece_size(piece);
    auto* current = &worker_readers()[0];
    auto* next = &worker_readers()[1];
    finished_readers const finished;
    start(*current, begin);
    result<void, io_error> outcome;
    for (auto at = begin; at < end; at += chunk) {
        auto const until = std::min(end, at + chunk);
        outcome = current->end();
        if (!outcome) {
            return outcome;
        }
        if (until < end) {
            start(*next, until);
        }
        for (auto block = at; block < until; ++block) {
            auto const length = std::min(block_size, size - block * block_size);
            consume(block, current->block(block).first(static_cast<std::size_t>(length)));
        }
        current->release();
        std::swap(current, next);
    }
    return outcome;
}

} // namespace

struct piece_hasher::piece_state {
    // Guarded by the hasher's mutex:
    std::vector<bool> arrived;
    std::int32_t announced = 0; ///< value of ready for which a worker was woken

    std::atomic<std::int32_t> ready{0}; ///< blocks from the start of the piece that have arrived
    std::atomic<bool> scheduled{false}; ///< a worker will look at ready
    std::atomic<bool> retired{false};   ///< nobody wants what is hashed ahead

    std::mutex mutex; ///< guards what follows
    lt::hasher sha1;
    std::int32_t hashed = 0; ///< blocks
    bool stopped = false;    ///< a block was no longer in memory: the rest is hashed at the end
};

piece_hasher::piece_hasher(std::shared_ptr<image_storage> const& image, worker_pool& workers, bool ahead)
    : m_weak(image)
    , m_image(*image)
    , m_workers(workers)
    , m_ahead(ahead && image->torrent().v1) {}

piece_hasher::~piece_hasher() = default;

void piece_hasher::block_written(std::int32_t piece, std::int32_t block) {
    if (!m_ahead) {
        return;
    }
    state_ptr wake;
    try {
        wake = note_written(piece, block);
        if (wake) {
            m_workers.submit([image = m_weak, piece, state = wake] { run_ahead(image, piece, state); });
        }
    } catch (std::bad_alloc const&) {
        // What is not hashed ahead is hashed when the piece is complete; what was hashed of old content must go.
        if (wake) {
            wake->scheduled.store(false);
        } else {
            forget(piece);
        }
    }
}

piece_hasher::state_ptr piece_hasher::note_written(std::int32_t piece, std::int32_t block) {
    auto const count = m_image.io().blocks_in_piece(piece);
    std::scoped_lock const lock(m_mutex);
    auto& slot = m_states[piece];
    // Written a second time: what was hashed of it may be the old content. All over again, as if nothing had arrived:
    // whoever sends the whole piece once more would otherwise have it hashed with each of its blocks.
    if (!slot || block < slot->ready.load(std::memory_order_relaxed)) {
        if (slot) {
            slot->retired.store(true, std::memory_order_relaxed);
            slot = nullptr;
        }
        auto begun = std::make_shared<piece_state>();
        begun->arrived.resize(static_cast<std::size_t>(count));
        slot = std::move(begun);
    }
    auto& state = *slot;
    state.arrived[static_cast<std::size_t>(block)] = true;
    auto ready = state.ready.load(std::memory_order_relaxed);
    while (ready < count && state.arrived[static_cast<std::size_t>(ready)]) {
        ++ready;
    }
    state.ready.store(ready); // before scheduled is looked at: a worker does it the other way round
    if (ready - state.announced >= ahead_batch || (ready == count && state.announced < count)) {
        state.announced = ready;
        if (!state.scheduled.exchange(true)) {
            return slot;
        }
    }
    return nullptr;
}

void piece_hasher::run_ahead(std::weak_ptr<image_storage> const& weak, std::int32_t piece, state_ptr const& state) {
    auto const image = weak.lock();
    if (!image) {
        return;
    }
    auto& cache = image->io().cache();
    auto const number = image->io().number();
    auto const size = image->piece_size(piece);
    std::array<block_ref, ahead_chunk> blocks;
    for (;;) {
        bool more = true;
        while (more) {
            std::scoped_lock const lock(state->mutex); // given up now and then, for whoever wants the hash
            auto const begin = state->hashed;
            auto const end = std::min(state->ready.load(), begin + ahead_chunk);
            more = begin < end && !state->stopped && !state->retired.load(std::memory_order_relaxed);
            if (!more) {
                break;
            }
            static_cast<void>(cache.collect(number, piece, begin, end, blocks));
            for (auto block = begin; block < end; ++block) {
                auto& memory = blocks[static_cast<std::size_t>(block - begin)];
                if (!memory) {
                    state->stopped = true;
                    break;
                }
                auto const length = std::min(block_size, size - block * block_size);
                update(state->sha1, memory.bytes().first(static_cast<std::size_t>(length)));
                ++state->hashed;
            }
            blocks = {};
        }
        state->scheduled.store(false);
        std::scoped_lock const lock(state->mutex);
        auto const nothing =
            state->stopped || state->retired.load(std::memory_order_relaxed) || state->hashed >= state->ready.load();
        if (nothing || state->scheduled.exchange(true)) {
            return;
        }
    }
}

piece_hasher::state_ptr piece_hasher::take(std::int32_t piece) {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_states.find(piece);
    if (at == m_states.end()) {
        return nullptr;
    }
    auto state = std::move(at->second);
    m_states.erase(at);
    return state;
}

void piece_hasher::forget(std::int32_t piece) {
    if (auto const state = take(piece)) {
        state->retired.store(true, std::memory_order_relaxed);
    }
}

bool piece_hasher::park(io_waiter& job) {
    if (m_waiting_long.load(std::memory_order_relaxed) == 0) {
        return false;
    }
    std::scoped_lock const lock(m_parked_mutex);
    if (m_waiting_long.load(std::memory_order_relaxed) == 0) {
        return false;
    }
    m_parked.push(&job);
    return true;
}

void piece_hasher::begin_long_wait() noexcept {
    {
        std::scoped_lock const lock(m_parked_mutex);
        m_waiting_long.fetch_add(1, std::memory_order_relaxed);
    }
    m_workers.lend_thread();
}

void piece_hasher::end_long_wait() noexcept {
    m_workers.return_thread();
    waiter_list parked;
    {
        std::scoped_lock const lock(m_parked_mutex);
        if (m_waiting_long.fetch_sub(1, std::memory_order_relaxed) == 1) {
            parked = std::exchange(m_parked, {});
        }
    }
    while (!parked.empty()) {
        auto* const job = static_cast<io_waiter*>(parked.pop());
        static_cast<void>(job->sink->ask_again(*job));
    }
}

result<void, io_error> piece_hasher::hash(piece_hash_request const& request, lt::sha1_hash& sha1) {
    auto const v1_size = request.v1 ? m_image.piece_size(request.piece) : 0;
    auto const v2_size = request.block_hashes.empty() ? 0 : request.v2_size;
    auto const to_blocks = [](std::int32_t bytes) { return (bytes + block_size - 1) / block_size; };

    lt::hasher whole;
    std::int32_t done = 0;
    if (auto const state = take(request.piece)) {
        state->retired.store(true, std::memory_order_relaxed);
        std::scoped_lock const lock(state->mutex);
        // A full check asks the device. And once a write has failed, something may be in it that never reached that.
        if (request.keep && !m_image.write_failure()) {
            whole = state->sha1;
            done = state->hashed;
        }
    }
    auto const begin = v2_size > 0 ? 0 : done;
    auto const end = std::max(to_blocks(v1_size), to_blocks(v2_size));
    // A full check of a disk with a head: one piece after another. A worker hashes faster than such a disk reads.
    std::unique_lock in_turn(m_device_order, std::defer_lock);
    if (!request.keep && m_image.io().in_device_order()) {
        in_turn.lock();
        if (request.cancelled && request.cancelled()) {
            return {};
        }
    }
    auto outcome = for_each_block(
        m_image, request.piece, begin, end, request.keep, [&](std::int32_t block, std::span<std::byte const> bytes) {
            if (request.v1 && block >= done) {
                update(whole, bytes);
            }
            auto const left = v2_size - block * block_size;
            if (left > 0) {
                auto const part = bytes.first(static_cast<std::size_t>(std::min(block_size, left)));
                request.block_hashes[static_cast<std::size_t>(block)] = sha256_of(part);
            }
        });
    if (outcome && request.v1) {
        sha1 = whole.final();
    }
    return outcome;
}

result<void, io_error> piece_hasher::hash_block(std::int32_t piece, std::int32_t block, std::int32_t length,
                                                lt::sha256_hash& sha256) {
    return for_each_block(m_image, piece, block, block + 1, true, [&](std::int32_t, std::span<std::byte const> bytes) {
        sha256 = sha256_of(bytes.first(static_cast<std::size_t>(length)));
    });
}

} // namespace seedbed
