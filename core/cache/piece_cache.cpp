#include "core/cache/piece_cache.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <limits>
#include <utility>

namespace seedbed {

namespace {

/// How many blocks in use elsewhere are passed over to find one whose eviction frees memory.
constexpr int max_passed_over = 16;
constexpr int max_shards_tried = 16;

/// Blocks that may be taken beyond the pool's size.
constexpr std::size_t beyond(memory_share share) noexcept {
    constexpr std::size_t mib = (std::size_t{1} << 20) / block_size;
    return share == memory_share::any ? block_pool::any : share == memory_share::passing ? 16 * mib : 8 * mib;
}

std::uint64_t mix(std::uint64_t value) noexcept {
    value ^= value >> 32;
    value *= 0x9e37'79b9'7f4a'7c15ULL;
    return value ^ value >> 29;
}

std::uint64_t piece_hash(std::uint32_t image, std::int32_t piece) noexcept {
    return mix(std::uint64_t{image} << 32 | static_cast<std::uint32_t>(piece));
}

constexpr std::uint32_t number(block_index index) noexcept {
    return static_cast<std::uint32_t>(index);
}

} // namespace

/// Holds a shard's lock and counts the times that it had to wait for it.
class piece_cache::locked {
public:
    explicit locked(shard const& which)
        : m_lock(which.mutex, std::try_to_lock) {
        if (!m_lock.owns_lock()) {
            which.contended.fetch_add(1, std::memory_order_relaxed);
            m_lock.lock();
        }
        which.locks.fetch_add(1, std::memory_order_relaxed);
    }

private:
    std::unique_lock<std::mutex> m_lock;
};

piece_cache::piece_cache(block_pool& pool, int shards)
    : m_pool(pool)
    , m_entries(pool.reserved())
    , m_shards(std::bit_ceil(static_cast<std::size_t>(std::max(shards, 1))))
    , m_clean_limit(std::numeric_limits<std::int64_t>::max()) {
    pool_resized();
}

piece_cache::~piece_cache() {
    for (auto& each : m_shards) {
        for (auto& list : each.clean) {
            while (list.oldest != 0) {
                auto const index = block_index{list.oldest - 1};
                lru_remove_locked(each, index);
                unlink_locked(each, index);
                m_pool.release(index);
            }
        }
    }
}

void piece_cache::pool_resized() {
    auto const wanted = std::bit_ceil(std::max<std::size_t>(2 * m_pool.capacity() / m_shards.size(), 64));
    for (auto& each : m_shards) {
        locked const lock(each);
        if (each.buckets.size() >= wanted) {
            continue;
        }
        auto const before = std::exchange(each.buckets, std::vector<std::uint32_t>(wanted));
        for (auto chain : before) {
            while (chain != 0) {
                auto& moved = m_entries[chain - 1];
                auto const rest = moved.next;
                auto& bucket = each.buckets[bucket_of(each, moved.key)];
                moved.next = std::exchange(bucket, chain);
                chain = rest;
            }
        }
    }
    trim();
}

// --- tables and lists

piece_cache::shard& piece_cache::shard_of(std::uint32_t image, std::int32_t piece) noexcept {
    return m_shards[(piece_hash(image, piece) >> 8) & (m_shards.size() - 1)];
}

std::uint32_t piece_cache::bucket_of(shard const& in, block_key const& key) noexcept {
    auto const hash = piece_hash(key.image, key.piece) + static_cast<std::uint32_t>(key.block) * 0x9e37'79b1ULL;
    return static_cast<std::uint32_t>(hash & (in.buckets.size() - 1));
}

block_index piece_cache::find_locked(shard const& in, block_key const& key) const noexcept {
    for (auto link = in.buckets[bucket_of(in, key)]; link != 0; link = m_entries[link - 1].next) {
        if (m_entries[link - 1].key == key) {
            return block_index{link - 1};
        }
    }
    return no_block;
}

void piece_cache::insert_locked(shard& in, block_key const& key, block_index index, state now) noexcept {
    auto& added = at(index);
    auto& bucket = in.buckets[bucket_of(in, key)];
    added = entry{};
    added.key = key;
    added.now = now;
    added.fresh = now == state::filling;
    added.next = std::exchange(bucket, number(index) + 1);
}

void piece_cache::unlink_locked(shard& in, block_index index) noexcept {
    auto* link = &in.buckets[bucket_of(in, at(index).key)];
    while (*link != number(index) + 1) {
        assert(*link != 0);
        link = &m_entries[*link - 1].next;
    }
    *link = at(index).next;
}

void piece_cache::lru_push_locked(shard& in, block_index index) noexcept {
    auto& pushed = at(index);
    auto& list = in.clean[pushed.fresh ? 1 : 0];
    pushed.used_at = m_clock.fetch_add(1, std::memory_order_relaxed);
    if (pushed.fresh && list.newest == 0) {
        in.oldest_entered.store(pushed.entered_at, std::memory_order_relaxed);
    }
    pushed.lru_prev = list.newest;
    pushed.lru_next = 0;
    if (list.newest != 0) {
        m_entries[list.newest - 1].lru_next = number(index) + 1;
    } else {
        list.oldest = number(index) + 1;
        list.oldest_used_at.store(pushed.used_at, std::memory_order_relaxed);
    }
    list.newest = number(index) + 1;
}

void piece_cache::lru_remove_locked(shard& in, block_index index) noexcept {
    auto const& removed = at(index);
    auto& list = in.clean[removed.fresh ? 1 : 0];
    (removed.lru_next != 0 ? m_entries[removed.lru_next - 1].lru_prev : list.newest) = removed.lru_prev;
    if (removed.lru_prev != 0) {
        m_entries[removed.lru_prev - 1].lru_next = removed.lru_next;
        return;
    }
    list.oldest = removed.lru_next;
    if (removed.fresh && removed.lru_next != 0) {
        in.oldest_entered.store(m_entries[removed.lru_next - 1].entered_at, std::memory_order_relaxed);
    }
    list.oldest_used_at.store(removed.lru_next != 0 ? m_entries[removed.lru_next - 1].used_at : never,
                              std::memory_order_relaxed);
}

void piece_cache::add_waiter(entry& to, block_waiter* waiter) noexcept {
    if (waiter == nullptr) {
        return;
    }
    waiter_list list{to.first, to.last};
    list.push(waiter);
    to.first = list.first;
    to.last = list.last;
}

waiter_list piece_cache::take_waiters(entry& from) noexcept {
    return {std::exchange(from.first, nullptr), std::exchange(from.last, nullptr)};
}

block_ref piece_cache::share(block_index index) noexcept {
    m_pool.add_reference(index);
    return {m_pool, index};
}

// --- memory

bool piece_cache::evict_one_locked(shard& in, bool fresh, reason why) noexcept {
    auto const& list = in.clean[fresh ? 1 : 0];
    for (int passed = 0; list.oldest != 0 && passed < max_passed_over; ++passed) {
        auto const index = block_index{list.oldest - 1};
        lru_remove_locked(in, index);
        if (why == reason::memory && m_pool.references(index) > 1) {
            lru_push_locked(in, index); // being sent: it would stay in memory all the same
            continue;
        }
        unlink_locked(in, index);
        at(index).now = state::absent;
        m_clean.fetch_sub(1, std::memory_order_relaxed);
        m_pool.release(index);
        return true;
    }
    return false;
}

bool piece_cache::evict_from(shard& victim, shard const* held, bool fresh, reason why) noexcept {
    if (&victim == held) {
        return evict_one_locked(victim, fresh, why);
    }
    // Never waits with a lock held: two threads could wait for each other.
    std::unique_lock const lock(victim.mutex, std::try_to_lock);
    return lock.owns_lock() && evict_one_locked(victim, fresh, why);
}

bool piece_cache::evict_one(shard* held, reason why) noexcept {
    std::array<shard*, 2> oldest{};
    std::array<std::uint64_t, 2> used_at{never, never};
    for (auto& each : m_shards) {
        for (std::size_t fresh = 0; fresh < 2; ++fresh) {
            auto const at = each.clean[fresh].oldest_used_at.load(std::memory_order_relaxed);
            if (at < used_at[fresh]) {
                used_at[fresh] = at;
                oldest[fresh] = &each;
            }
        }
    }
    auto const forgotten =
        oldest[1] != nullptr && oldest[1]->oldest_entered.load(std::memory_order_relaxed) + 2 * m_pool.capacity() <
                                    m_entered.load(std::memory_order_relaxed);
    for (bool const fresh : {forgotten, !forgotten}) {
        auto* const victim = oldest[fresh ? 1 : 0];
        if (victim != nullptr && evict_from(*victim, held, fresh, why)) {
            return true;
        }
    }
    // Somebody else has the lock, or all that is old there is in use: any other will do. Where most of the cache is in
    // use, looking for the rest of it costs more than it gives.
    auto const start = m_clock.load(std::memory_order_relaxed);
    int left = max_shards_tried;
    for (bool const fresh : {false, true}) {
        for (std::size_t i = 0; i < m_shards.size() && left > 0; ++i) {
            auto& each = m_shards[(start + i) & (m_shards.size() - 1)];
            if (each.clean[fresh ? 1 : 0].oldest_used_at.load(std::memory_order_relaxed) == never) {
                continue;
            }
            --left;
            if (evict_from(each, held, fresh, why)) {
                return true;
            }
        }
    }
    return false;
}

block_ref piece_cache::allocate(shard* held) noexcept {
    for (;;) {
        if (auto block = m_pool.allocate()) {
            return block;
        }
        if (m_clean.load(std::memory_order_relaxed) == 0 || !evict_one(held, reason::memory)) {
            return {};
        }
    }
}

block_ref piece_cache::allocate_block(memory_share most) {
    auto block = allocate(nullptr);
    return block ? std::move(block) : m_pool.allocate_beyond(beyond(most));
}

bool piece_cache::overdrawn() const noexcept {
    return m_pool.in_use() > m_pool.capacity() + beyond(memory_share::passing);
}

void piece_cache::make_clean_locked(shard& in, block_index index) noexcept {
    auto& cleaned = at(index);
    cleaned.now = state::clean;
    cleaned.has_newer = false;
    cleaned.entered_at = m_entered.fetch_add(1, std::memory_order_relaxed);
    lru_push_locked(in, index);
    if (m_clean.fetch_add(1, std::memory_order_relaxed) >= m_clean_limit.load(std::memory_order_relaxed)) {
        static_cast<void>(evict_one(&in, reason::limit));
    } else if (m_pool.in_use() > m_pool.capacity()) {
        static_cast<void>(evict_one(&in, reason::memory));
    }
}

void piece_cache::set_clean_limit(std::int64_t bytes) {
    m_clean_limit.store(bytes / block_size, std::memory_order_relaxed);
    trim();
}

void piece_cache::trim() {
    auto const clean = m_clean.load(std::memory_order_relaxed);
    if (clean == 0 ||
        (clean <= m_clean_limit.load(std::memory_order_relaxed) && m_pool.in_use() <= m_pool.capacity())) {
        return;
    }
    while (m_clean.load(std::memory_order_relaxed) > m_clean_limit.load(std::memory_order_relaxed) &&
           evict_one(nullptr, reason::limit)) {
    }
    while (m_pool.in_use() > m_pool.capacity() && evict_one(nullptr, reason::memory)) {
    }
}

void piece_cache::drop_clean(std::uint32_t image) {
    for (auto& each : m_shards) {
        locked const lock(each);
        for (auto const& list : each.clean) {
            for (auto link = list.oldest; link != 0;) {
                auto const index = block_index{link - 1};
                link = at(index).lru_next;
                if (at(index).key.image != image) {
                    continue;
                }
                lru_remove_locked(each, index);
                unlink_locked(each, index);
                at(index).now = state::absent;
                m_clean.fetch_sub(1, std::memory_order_relaxed);
                m_pool.release(index);
            }
        }
    }
}

// --- reading

piece_cache::lookup piece_cache::read(block_key const& key, std::int32_t begin, std::int32_t end, block_waiter* waiter,
                                      block_ref& found, fill& wanted, bool uses, memory_share most) {
    wanted.blocks.clear();
    wanted.blocks.reserve(static_cast<std::size_t>(end - begin)); // from here on nothing can fail
    auto& in = shard_of(key.image, key.piece);
    locked const lock(in);
    if (auto const index = find_locked(in, key); index != no_block) {
        auto& there = at(index);
        ++in.hits;
        if (there.now == state::filling) {
            there.fresh = there.fresh && !uses;
            add_waiter(there, waiter);
            return lookup::waiting;
        }
        if (there.now == state::clean && uses) {
            lru_remove_locked(in, index);
            there.fresh = false;
            lru_push_locked(in, index);
        }
        found = share(there.has_newer ? there.newer : index);
        return lookup::hit;
    }
    auto block = most == memory_share::nothing ? block_ref() : allocate(&in);
    if (!block && most != memory_share::nothing) {
        block = m_pool.allocate_beyond(beyond(most));
    }
    if (!block) {
        return lookup::no_memory;
    }
    ++in.misses;
    // Neighbours only from memory that is to be had; backwards first, so that the blocks come in order.
    auto first = key.block;
    while (first > begin && find_locked(in, {key.image, key.piece, first - 1}) == no_block) {
        --first;
    }
    for (auto before = first; before < key.block; ++before) {
        auto memory = allocate(&in);
        if (!memory) {
            wanted.blocks.clear(); // a gap is no use
            first = key.block;
            break;
        }
        wanted.blocks.push_back(std::move(memory));
    }
    auto const asked_for = block.index();
    wanted.blocks.push_back(std::move(block));
    for (auto next = key.block + 1; next < end; ++next) {
        if (find_locked(in, {key.image, key.piece, next}) != no_block) {
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
        insert_locked(in, filled, memory.index(), state::filling);
        ++filled.block;
    }
    m_filling.fetch_add(static_cast<std::int64_t>(wanted.blocks.size()), std::memory_order_relaxed);
    at(asked_for).fresh = !uses;
    add_waiter(at(asked_for), waiter);
    return lookup::must_fill;
}

waiter_list piece_cache::end_fill(fill const& done, bool success) {
    waiter_list waited;
    auto& in = shard_of(done.first.image, done.first.piece);
    locked const lock(in);
    for (auto const& block : done.blocks) {
        auto& filled = at(block.index());
        assert(filled.now == state::filling);
        auto waiters = take_waiters(filled);
        for (auto* waiter = waiters.first; waiter != nullptr && success; waiter = waiter->next) {
            waiter->block = block;
        }
        waited.append(waiters);
        m_filling.fetch_sub(1, std::memory_order_relaxed);
        if (filled.detached || !success) {
            if (!filled.detached) {
                unlink_locked(in, block.index());
            }
            filled.now = state::absent;
            continue; // the fill's own reference is the last one
        }
        m_pool.add_reference(block.index()); // the cache's
        make_clean_locked(in, block.index());
    }
    return waited;
}

int piece_cache::collect(std::uint32_t image, std::int32_t piece, std::int32_t begin, std::int32_t end,
                         std::span<block_ref> found) {
    auto& in = shard_of(image, piece);
    int count = 0;
    locked const lock(in);
    for (auto block = begin; block < end; ++block) {
        auto const index = find_locked(in, {image, piece, block});
        auto& slot = found[static_cast<std::size_t>(block - begin)];
        if (index == no_block || at(index).now == state::filling) {
            slot = {};
            continue;
        }
        slot = share(at(index).has_newer ? at(index).newer : index);
        ++count;
    }
    return count;
}

// --- writing

bool piece_cache::write(block_key const& key, block_ref block, std::int32_t length, block_waiter* waiter) {
    auto const index = block.release(); // the reference is the cache's now
    auto& in = shard_of(key.image, key.piece);
    locked const lock(in);
    auto const there = find_locked(in, key);
    if (there != no_block) {
        auto& old = at(there);
        if (old.now == state::flushing) {
            // The device is at work on the old content: the new one waits behind it.
            if (old.has_newer) {
                auto& newer = at(old.newer);
                auto const waiters = take_waiters(newer);
                m_pool.release(old.newer);
                at(index) = entry{};
                at(index).first = waiters.first;
                at(index).last = waiters.last;
            } else {
                at(index) = entry{};
            }
            at(index).key = key;
            at(index).now = state::dirty;
            at(index).length = length;
            add_waiter(at(index), waiter);
            old.has_newer = true;
            old.newer = index;
            return false;
        }
        if (old.now == state::dirty) {
            // What was to be written is no longer wanted; who waits for it is served by what takes its place.
            auto const waiters = take_waiters(old);
            unlink_locked(in, there);
            insert_locked(in, key, index, state::dirty);
            at(index).length = length;
            at(index).first = waiters.first;
            at(index).last = waiters.last;
            add_waiter(at(index), waiter);
            old.now = state::absent;
            m_pool.release(there);
            return false; // it is to be flushed already
        }
        unlink_locked(in, there);
        if (old.now == state::filling) {
            old.detached = true;
        } else {
            lru_remove_locked(in, there);
            old.now = state::absent;
            m_clean.fetch_sub(1, std::memory_order_relaxed);
            m_pool.release(there);
        }
    }
    insert_locked(in, key, index, state::dirty);
    at(index).length = length;
    add_waiter(at(index), waiter);
    m_dirty.fetch_add(1, std::memory_order_relaxed);
    return true;
}

std::int32_t piece_cache::begin_flush(std::uint32_t image, std::int32_t piece, std::int32_t begin, std::int32_t end,
                                      std::vector<flush_item>& taken) {
    auto& in = shard_of(image, piece);
    locked const lock(in);
    for (auto block = begin; block < end; ++block) {
        auto const index = find_locked(in, {image, piece, block});
        if (index == no_block || at(index).now != state::dirty) {
            return block;
        }
        taken.push_back({block, at(index).length, share(index)}); // first: it may throw
        at(index).now = state::flushing;
    }
    return end;
}

waiter_list piece_cache::end_flush(std::uint32_t image, std::int32_t piece, std::span<flush_item const> items,
                                   bool success, std::vector<std::int32_t>& dirty_again) {
    waiter_list waited;
    auto& in = shard_of(image, piece);
    locked const lock(in);
    for (auto const& item : items) {
        auto const index = item.memory.index();
        auto& flushed = at(index);
        assert(flushed.now == state::flushing);
        waited.append(take_waiters(flushed));
        if (flushed.has_newer) {
            auto const newer = flushed.newer;
            auto const waiters = take_waiters(at(newer));
            auto const length = at(newer).length;
            unlink_locked(in, index);
            flushed.now = state::absent;
            m_pool.release(index);
            insert_locked(in, {image, piece, item.block}, newer, state::dirty);
            at(newer).length = length;
            at(newer).first = waiters.first;
            at(newer).last = waiters.last;
            dirty_again.push_back(item.block); // counted as dirty all along
            continue;
        }
        m_dirty.fetch_sub(1, std::memory_order_relaxed);
        if (success) {
            make_clean_locked(in, index);
        } else {
            unlink_locked(in, index);
            flushed.now = state::absent;
            m_pool.release(index);
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
    for (auto const& each : m_shards) {
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
    std::int64_t clean = 0;
    std::int64_t dirty = 0;
    std::int64_t filling = 0;
    bool good = true;
    std::vector<std::unique_lock<std::mutex>> locks;
    for (auto const& each : m_shards) {
        locks.emplace_back(each.mutex);
    }
    for (auto const& each : m_shards) {
        std::int64_t in_lru = 0;
        for (std::size_t fresh = 0; fresh < 2; ++fresh) {
            auto const& list = each.clean[fresh];
            std::uint32_t previous = 0;
            std::uint64_t used_at = 0;
            good =
                good && list.oldest_used_at.load() == (list.oldest != 0 ? m_entries[list.oldest - 1].used_at : never);
            for (auto link = list.oldest; link != 0; link = m_entries[link - 1].lru_next) {
                auto const& found = m_entries[link - 1];
                good = good && found.lru_prev == previous && found.now == state::clean && found.fresh == (fresh == 1) &&
                       found.used_at >= used_at;
                used_at = found.used_at;
                previous = link;
                ++in_lru;
            }
            good = good && list.newest == previous;
        }
        std::int64_t clean_here = 0;
        for (auto link : each.buckets) {
            for (; link != 0; link = m_entries[link - 1].next) {
                auto const& found = m_entries[link - 1];
                good = good && found.now != state::absent && !found.detached &&
                       m_pool.references(block_index{link - 1}) > 0;
                clean_here += found.now == state::clean ? 1 : 0;
                filling += found.now == state::filling ? 1 : 0;
                dirty += found.now == state::dirty || found.now == state::flushing ? 1 : 0;
                good = good && (!found.has_newer || found.now == state::flushing);
            }
        }
        good = good && clean_here == in_lru;
        clean += clean_here;
    }
    // Blocks that were written while they were being read are counted as filling, but are in no table.
    return good && clean == m_clean.load(std::memory_order_relaxed) &&
           dirty == m_dirty.load(std::memory_order_relaxed) && filling <= m_filling.load(std::memory_order_relaxed);
}

} // namespace seedbed
