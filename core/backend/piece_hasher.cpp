#include "core/backend/piece_hasher.hpp"

#include <algorithm>
#include <array>
#include <mutex>
#include <utility>

#include <libtorrent/hasher.hpp>

#include "core/backend/piece_reader.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// Blocks read at a time: 1 MiB, with the next chunk of that size in flight.
constexpr std::int32_t read_chunk = 64;

lt::sha256_hash sha256_of(std::span<std::byte const> bytes) {
    return lt::hasher256(reinterpret_cast<char const*>(bytes.data()), static_cast<int>(bytes.size())).final();
}

/// The buffers of a hash worker, reused for every piece.
std::array<piece_reader, 2>& worker_readers() {
    thread_local std::array<piece_reader, 2> readers;
    return readers;
}

/// On destruction, waits until nothing is being read into the worker's buffers, and releases their blocks.
struct finished_readers {
    explicit finished_readers(device_wait& used)
        : waits(used) {}
    finished_readers(finished_readers const&) = delete;
    finished_readers& operator=(finished_readers const&) = delete;
    ~finished_readers() {
        for (auto& reader : worker_readers()) {
            reader.stop(waits);
        }
    }

    device_wait& waits;
};

/// Calls \p consume(number, bytes) for the blocks [begin, end) of a piece, in order, the last one cut to the piece's
/// end. The next chunk is read while one is consumed.
template <class Consume>
result<void, io_error> for_each_block(image_io& io, device_wait& waits, piece_index piece, std::int32_t begin,
                                      std::int32_t end, bool keep, Consume const& consume) {
    if (begin >= end) {
        return {};
    }
    auto const chunk = std::clamp(io.read_ahead(), read_chunk, piece_reader::most_blocks);
    auto const& cache = io.cache();
    // Several workers that each read a piece chunk by chunk would move a head back and forth, so read the whole piece
    // at once if there is room for two.
    bool const whole = keep && io.in_device_order() && cache.filling() + (end - begin) <= cache.capacity() / 2 &&
                       end - begin <= cache.clean_limit();
    auto const start = [&](piece_reader& reader, std::int32_t from) {
        auto const until = std::min(end, from + chunk);
        reader.begin(io, piece, from, until, keep, whole ? end : until);
    };
    auto const size = io.image().piece_size(piece);
    auto* current = &worker_readers().front();
    auto* next = &worker_readers().back();
    finished_readers const finished(waits);
    start(*current, begin);
    result<void, io_error> outcome;
    for (auto at = begin; at < end; at += chunk) {
        auto const until = std::min(end, at + chunk);
        outcome = current->end(waits);
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

piece_hasher::piece_hasher(image_io& io, worker_pool& workers, hasher_options options)
    : m_io(io)
    , m_waits(workers)
    , m_ahead(io, workers, options) {}

result<void, io_error> piece_hasher::hash(piece_hash_request const& request, lt::sha1_hash& sha1) {
    auto const v1_size = request.v1 ? m_io.image().piece_size(request.piece) : 0;
    auto const v2_size = request.block_hashes.empty() ? 0 : request.v2_size;
    auto const to_blocks = [](std::int32_t bytes) { return (bytes + block_size - 1) / block_size; };

    hash_ahead::beginning ahead;
    // A full check reads the device. And after a failed write, hashed blocks may never have reached it.
    if (request.keep && !m_io.image().write_failure()) {
        ahead = m_ahead.finish(request.piece);
    } else {
        m_ahead.forget(request.piece);
    }
    auto& whole = ahead.sha1;
    auto const done = ahead.blocks;
    auto const begin = v2_size > 0 ? 0 : done;
    auto const end = std::max(to_blocks(v1_size), to_blocks(v2_size));
    // A full check of a disk with a head takes one piece after another. A worker hashes faster than such a disk reads.
    std::unique_lock in_turn(m_device_order, std::defer_lock);
    if (!request.keep && m_io.in_device_order()) {
        in_turn.lock();
        if (request.cancelled && request.cancelled()) {
            return {};
        }
    }
    auto outcome = for_each_block(m_io, m_waits, request.piece, begin, end, request.keep,
                                  [&](std::int32_t block, std::span<std::byte const> bytes) {
                                      if (request.v1 && block >= done) {
                                          whole.update(bytes);
                                      }
                                      auto const left = v2_size - block * block_size;
                                      if (left > 0) {
                                          auto const part =
                                              bytes.first(static_cast<std::size_t>(std::min(block_size, left)));
                                          request.block_hashes[static_cast<std::size_t>(block)] = sha256_of(part);
                                      }
                                  });
    if (outcome && request.v1) {
        sha1 = lt::sha1_hash(whole.final().data());
    }
    return outcome;
}

result<void, io_error> piece_hasher::hash_block(piece_index piece, std::int32_t block, std::int32_t length,
                                                lt::sha256_hash& sha256) {
    return for_each_block(m_io, m_waits, piece, block, block + 1, true,
                          [&](std::int32_t, std::span<std::byte const> bytes) {
                              sha256 = sha256_of(bytes.first(static_cast<std::size_t>(length)));
                          });
}

} // namespace seedbed
