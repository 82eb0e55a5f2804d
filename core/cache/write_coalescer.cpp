#include "core/cache/write_coalescer.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace seedbed {

namespace {

constexpr std::int32_t word_bits = 64;

std::size_t word_of(std::int32_t block) {
    return static_cast<std::size_t>(block / word_bits);
}

std::uint64_t bit_of(std::int32_t block) {
    return std::uint64_t{1} << (block % word_bits);
}

bool is_set(std::vector<std::uint64_t> const& bits, std::int32_t block) {
    return (bits[word_of(block)] & bit_of(block)) != 0;
}

/// The first set bit from \p block on, or \p end.
std::int32_t next_set(std::vector<std::uint64_t> const& bits, std::int32_t block, std::int32_t end) {
    while (block < end) {
        auto const word = bits[word_of(block)] >> (block % word_bits);
        if (word != 0) {
            return std::min(end, block + std::countr_zero(word));
        }
        block += word_bits - block % word_bits;
    }
    return end;
}

/// The first clear bit from \p block on, or \p end.
std::int32_t next_clear(std::vector<std::uint64_t> const& bits, std::int32_t block, std::int32_t end) {
    while (block < end) {
        auto const word = ~bits[word_of(block)] >> (block % word_bits);
        if (word != 0) {
            return std::min(end, block + std::countr_zero(word));
        }
        block += word_bits - block % word_bits;
    }
    return end;
}

/// Reserves room for the runs of that many blocks: appending must not fail once they are out of the maps.
void make_room(std::vector<block_run>& leaving, std::int32_t blocks) {
    auto const needed = leaving.size() + static_cast<std::size_t>(blocks);
    if (leaving.capacity() < needed) {
        leaving.reserve(std::max(needed, 2 * leaving.capacity()));
    }
}

} // namespace

write_coalescer::write_coalescer(std::int32_t pieces, std::int32_t blocks_per_piece, std::int32_t blocks_in_last,
                                 policy rules)
    : m_pieces(pieces)
    , m_blocks_per_piece(blocks_per_piece)
    , m_blocks_in_last(blocks_in_last)
    , m_policy(rules) {}

void write_coalescer::set_policy(policy rules) {
    std::scoped_lock const lock(m_mutex);
    m_policy = rules;
}

std::int32_t write_coalescer::blocks_in(piece_index piece) const noexcept {
    return piece.value() == m_pieces - 1 ? m_blocks_in_last : m_blocks_per_piece;
}

void write_coalescer::add(piece_index piece, std::int32_t block, clock::time_point now,
                          std::vector<block_run>& leaving) {
    auto const count = blocks_in(piece);
    std::scoped_lock const lock(m_mutex);
    auto at = m_begun.find(piece);
    if (at == m_begun.end()) {
        piece_blocks begun;
        auto const words = word_of(count - 1) + 1;
        begun.dirty.resize(words);
        begun.seen.resize(words);
        at = m_begun.emplace(piece, std::move(begun)).first;
    }
    auto& blocks = at->second;
    make_room(leaving, blocks.waiting + 1);
    if (!is_set(blocks.seen, block)) {
        blocks.seen[word_of(block)] |= bit_of(block);
        ++blocks.seen_count;
    }
    if (!is_set(blocks.dirty, block)) {
        if (blocks.waiting++ == 0) {
            blocks.oldest = now;
        }
        blocks.dirty[word_of(block)] |= bit_of(block);
        ++m_waiting;
    }
    if (blocks.seen_count == count) {
        m_waiting -= blocks.waiting;
        take_piece_locked(piece, blocks, leaving);
        m_begun.erase(at);
        return;
    }
    auto const run = run_around(piece, blocks, block, count);
    if (m_policy.delay.count() == 0 || run.end - run.begin >= m_policy.coalesce) {
        leaving.push_back(run);
        m_waiting -= run.end - run.begin;
        clear_run(blocks, run);
    }
}

block_run write_coalescer::run_around(piece_index piece, piece_blocks const& blocks, std::int32_t block,
                                      std::int32_t count) {
    auto begin = block;
    while (begin > 0 && is_set(blocks.dirty, begin - 1)) {
        --begin;
    }
    return {piece, begin, next_clear(blocks.dirty, block, count)};
}

void write_coalescer::clear_run(piece_blocks& blocks, block_run const& run) {
    for (auto block = run.begin; block < run.end; ++block) {
        if (is_set(blocks.dirty, block)) {
            blocks.dirty[word_of(block)] &= ~bit_of(block);
            --blocks.waiting;
        }
    }
}

void write_coalescer::take_piece_locked(piece_index piece, piece_blocks& blocks,
                                        std::vector<block_run>& leaving) const {
    auto const count = blocks_in(piece);
    for (auto begin = next_set(blocks.dirty, 0, count); begin < count;) {
        auto const end = next_clear(blocks.dirty, begin, count);
        leaving.push_back({piece, begin, end});
        begin = next_set(blocks.dirty, end, count);
    }
    std::ranges::fill(blocks.dirty, 0);
    blocks.waiting = 0;
}

void write_coalescer::take_due(clock::time_point now, std::vector<block_run>& leaving) {
    std::scoped_lock const lock(m_mutex);
    if (m_waiting == 0) {
        return;
    }
    for (auto& [piece, blocks] : m_begun) {
        if (blocks.waiting > 0 && now - blocks.oldest >= m_policy.delay) {
            make_room(leaving, blocks.waiting);
            m_waiting -= blocks.waiting;
            take_piece_locked(piece, blocks, leaving);
        }
    }
}

void write_coalescer::take_all(std::vector<block_run>& leaving) {
    std::scoped_lock const lock(m_mutex);
    if (m_waiting == 0) {
        return;
    }
    for (auto& [piece, blocks] : m_begun) {
        if (blocks.waiting > 0) {
            make_room(leaving, blocks.waiting);
            m_waiting -= blocks.waiting;
            take_piece_locked(piece, blocks, leaving);
        }
    }
}

void write_coalescer::taken(block_run const& run) {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_begun.find(run.piece);
    if (at == m_begun.end()) {
        return;
    }
    auto const before = at->second.waiting;
    clear_run(at->second, run);
    m_waiting -= before - at->second.waiting;
}

std::optional<write_coalescer::clock::time_point> write_coalescer::next_due() const {
    std::scoped_lock const lock(m_mutex);
    if (m_waiting == 0) {
        return std::nullopt;
    }
    std::optional<clock::time_point> first;
    for (auto const& [piece, blocks] : m_begun) {
        if (blocks.waiting > 0 && (!first || blocks.oldest < *first)) {
            first = blocks.oldest;
        }
    }
    return first ? std::optional(*first + m_policy.delay) : std::nullopt;
}

} // namespace seedbed
