#include "core/cache/piece_cache.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <mutex>
#include <utility>

namespace seedbed {

piece_cache::piece_cache(block_pool& pool, int stripes)
    : m_pool(pool)
    , m_table(pool.reserved())
    , m_stripes(std::bit_ceil(static_cast<std::size_t>(std::max(stripes, 1))))
    , m_clean_limit(std::numeric_limits<std::int64_t>::max()) {
    auto const wanted = std::bit_ceil(std::max<std::size_t>(2 * m_pool.capacity() / m_stripes.size(), 64));
    for (auto& each : m_stripes) {
        each.grow(m_table, wanted);
    }
}

piece_cache::~piece_cache() {
    for (auto& each : m_stripes) {
        for (auto& list : each.clean) {
            while (list.oldest != 0) {
                remove_clean_locked(each, block_index{list.oldest - 1});
            }
        }
    }
}

void piece_cache::pool_resized() {
    auto const wanted = std::bit_ceil(std::max<std::size_t>(2 * m_pool.capacity() / m_stripes.size(), 64));
    for (auto& each : m_stripes) {
        stripe_lock const lock(each, m_table, m_pool);
        each.grow(m_table, wanted);
    }
    trim();
}

cache_stripe& piece_cache::stripe_of(std::uint32_t image, piece_index piece) noexcept {
    return m_stripes[(hash_of_piece(image, piece) >> 8) & (m_stripes.size() - 1)];
}

block_ref piece_cache::share(block_index index) noexcept {
    m_pool.add_reference(index);
    return {m_pool, index};
}

// --- reading

piece_cache::lookup piece_cache::read(block_key const& key, std::int32_t begin, std::int32_t end, block_waiter* waiter,
                                      block_ref& found, fill& wanted, bool uses, memory_share most) {
    wanted.blocks.clear();
    wanted.blocks.reserve(static_cast<std::size_t>(end - begin)); // nothing can fail after this
    auto& in = stripe_of(key.image, key.piece);
    stripe_lock const lock(in, m_table, m_pool);
    if (auto const index = in.find(m_table, key); index != no_block) {
        auto& known = at(index);
        ++in.hits;
        if (known.state == block_state::filling) {
            known.fresh = known.fresh && !uses;
            known.add_waiter(waiter);
            return lookup::waiting;
        }
        if (known.state == block_state::clean && uses) {
            in.lru_remove(m_table, index);
            known.fresh = false;
            in.lru_push(m_table, index, m_clock.fetch_add(1, std::memory_order_relaxed));
        }
        found = share(known.has_newer ? known.newer : index);
        return lookup::hit;
    }
    auto block = most == memory_share::nothing ? block_ref() : allocate(&in, most);
    if (!block) {
        return lookup::no_memory;
    }
    ++in.misses;
    auto& asked_for = at(block.index());
    auto const answer = begin_fill_locked(in, key, begin, end, std::move(block), wanted);
    asked_for.fresh = !uses;
    asked_for.add_waiter(waiter);
    return answer;
}

piece_cache::lookup piece_cache::begin_fill_locked(cache_stripe& in, block_key const& key, std::int32_t begin,
                                                   std::int32_t end, block_ref block, fill& wanted) {
    // Neighbours take only free or clean memory; backwards first, so that the blocks come in order.
    auto first = key.block;
    while (first > begin && in.find(m_table, {key.image, key.piece, first - 1}) == no_block) {
        --first;
    }
    for (auto before = first; before < key.block; ++before) {
        auto memory = allocate(&in);
        if (!memory) {
            wanted.blocks.clear(); // a gap is useless
            first = key.block;
            break;
        }
        wanted.blocks.push_back(std::move(memory));
    }
    wanted.blocks.push_back(std::move(block));
    for (auto next = key.block + 1; next < end; ++next) {
        if (in.find(m_table, {key.image, key.piece, next}) != no_block) {
            break;
        }
        auto memory = allocate(&in);
        if (!memory) {
            break;
        }
        wanted.blocks.push_back(std::move(memory));
    }
    wanted.first = {key.image, key.piece, first};
    for (auto filled = wanted.first; auto const& memory : wanted.blocks) {
        at(memory.index()).begin(filled, block_state::filling);
        in.link(m_table, memory.index());
        ++filled.block;
    }
    m_filling.fetch_add(static_cast<std::int64_t>(wanted.blocks.size()), std::memory_order_relaxed);
    return lookup::must_fill;
}

waiter_list piece_cache::end_fill(fill const& done, bool success) {
    waiter_list waited;
    auto& in = stripe_of(done.first.image, done.first.piece);
    stripe_lock const lock(in, m_table, m_pool);
    for (auto const& block : done.blocks) {
        auto& filled = at(block.index());
        auto const waiters = filled.take_waiters();
        for (auto* waiter = waiters.first; waiter != nullptr && success; waiter = waiter->next) {
            waiter->block = block;
        }
        waited.append(waiters);
        m_filling.fetch_sub(1, std::memory_order_relaxed);
        if (filled.detached || !success) {
            if (!filled.detached) {
                in.unlink(m_table, block.index());
            }
            filled.become(block_state::absent);
            continue; // the fill's own reference is the last one
        }
        m_pool.add_reference(block.index()); // the cache's
        turn_clean_locked(in, block.index());
    }
    return waited;
}

int piece_cache::collect(std::uint32_t image, piece_index piece, std::int32_t begin, std::int32_t end,
                         std::span<block_ref> found) {
    auto& in = stripe_of(image, piece);
    int count = 0;
    stripe_lock const lock(in, m_table, m_pool);
    for (auto block = begin; block < end; ++block) {
        auto const index = in.find(m_table, {image, piece, block});
        auto& slot = found[static_cast<std::size_t>(block - begin)];
        if (index == no_block || at(index).state == block_state::filling) {
            slot = {};
            continue;
        }
        slot = share(at(index).has_newer ? at(index).newer : index);
        ++count;
    }
    return count;
}

// --- writing

void piece_cache::insert_locked(cache_stripe& in, block_key const& key, block_index index,
                                std::int32_t length) noexcept {
    auto& added = at(index);
    added.begin(key, block_state::dirty);
    added.length = length;
    in.link(m_table, index);
}

void piece_cache::remove_locked(cache_stripe& in, block_index index) noexcept {
    in.unlink(m_table, index);
    at(index).become(block_state::absent);
    m_pool.release(index);
}

/// The device is still writing the old content; the new content waits behind it.
void piece_cache::write_behind_locked(block_key const& key, block_entry& flushing, block_index index,
                                      std::int32_t length, block_waiter* waiter) noexcept {
    auto& behind = at(index);
    behind.begin(key, block_state::dirty);
    behind.length = length;
    if (flushing.has_newer) {
        auto& replaced = at(flushing.newer);
        behind.set_waiters(replaced.take_waiters());
        replaced.become(block_state::absent);
        m_pool.release(flushing.newer);
    }
    behind.add_waiter(waiter);
    flushing.has_newer = true;
    flushing.newer = index;
}

bool piece_cache::write(block_key const& key, block_ref block, std::int32_t length, block_waiter* waiter) {
    auto const index = block.release(); // the cache owns the reference now
    auto& in = stripe_of(key.image, key.piece);
    stripe_lock const lock(in, m_table, m_pool);
    auto const known = in.find(m_table, key);
    if (known != no_block) {
        auto& old = at(known);
        switch (old.state) {
        case block_state::flushing:
            write_behind_locked(key, old, index, length, waiter);
            return false;
        case block_state::dirty: {
            // Its content is obsolete; its waiters are served by the block that replaces it.
            auto const waiters = old.take_waiters();
            remove_locked(in, known);
            insert_locked(in, key, index, length);
            at(index).set_waiters(waiters);
            at(index).add_waiter(waiter);
            return false;
        }
        case block_state::filling:
            in.unlink(m_table, known);
            old.detached = true;
            break;
        default:
            remove_clean_locked(in, known);
        }
    }
    insert_locked(in, key, index, length);
    at(index).add_waiter(waiter);
    m_dirty.fetch_add(1, std::memory_order_relaxed);
    return true;
}

std::int32_t piece_cache::begin_flush(std::uint32_t image, piece_index piece, std::int32_t begin, std::int32_t end,
                                      std::vector<flush_item>& taken) {
    auto& in = stripe_of(image, piece);
    stripe_lock const lock(in, m_table, m_pool);
    for (auto block = begin; block < end; ++block) {
        auto const index = in.find(m_table, {image, piece, block});
        if (index == no_block || at(index).state != block_state::dirty) {
            return block;
        }
        taken.push_back({block, at(index).length, share(index)}); // first, because it may throw
        at(index).become(block_state::flushing);
    }
    return end;
}

waiter_list piece_cache::end_flush(std::uint32_t image, piece_index piece, std::span<flush_item const> items,
                                   bool success, std::vector<std::int32_t>& dirty_again) {
    waiter_list waited;
    auto& in = stripe_of(image, piece);
    stripe_lock const lock(in, m_table, m_pool);
    for (auto const& item : items) {
        auto const index = item.memory.index();
        auto& flushed = at(index);
        waited.append(flushed.take_waiters());
        if (flushed.has_newer) {
            auto const newer = flushed.newer;
            remove_locked(in, index);
            in.link(m_table, newer);
            dirty_again.push_back(item.block); // has been counted as dirty all along
            continue;
        }
        m_dirty.fetch_sub(1, std::memory_order_relaxed);
        if (success) {
            turn_clean_locked(in, index);
        } else {
            remove_locked(in, index);
        }
    }
    return waited;
}

// --- statistics

std::int64_t piece_cache::available() const noexcept {
    auto const free = static_cast<std::int64_t>(m_pool.capacity()) - static_cast<std::int64_t>(m_pool.in_use());
    return free + m_clean.load(std::memory_order_relaxed);
}

piece_cache::statistics piece_cache::stats() const {
    statistics sum;
    for (auto const& each : m_stripes) {
        {
            std::scoped_lock const lock(each.mutex);
            sum.hits += each.hits;
            sum.misses += each.misses;
        }
        sum.locks += each.locks.load(std::memory_order_relaxed);
        sum.contended += each.contended.load(std::memory_order_relaxed);
    }
    sum.clean = m_clean.load(std::memory_order_relaxed);
    sum.dirty = m_dirty.load(std::memory_order_relaxed);
    sum.filling = m_filling.load(std::memory_order_relaxed);
    return sum;
}

bool piece_cache::invariant_holds() const {
    std::vector<std::unique_lock<std::mutex>> locks;
    for (auto const& each : m_stripes) {
        locks.emplace_back(each.mutex);
    }
    cache_stripe::census sum;
    for (auto const& each : m_stripes) {
        auto const found = each.take_census(m_table, m_pool);
        sum.good = sum.good && found.good;
        sum.clean += found.clean;
        sum.dirty += found.dirty;
        sum.filling += found.filling;
    }
    // Blocks that were written while being read count as filling, but are in no stripe.
    return sum.good && sum.clean == m_clean.load(std::memory_order_relaxed) &&
           sum.dirty == m_dirty.load(std::memory_order_relaxed) &&
           sum.filling <= m_filling.load(std::memory_order_relaxed);
}

} // namespace seedbed
