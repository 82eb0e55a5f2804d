#include "core/cache/cache_stripe.hpp"

#include <utility>

namespace seedbed {

namespace {

block_entry& at(block_table const& table, block_index index) noexcept {
    return table[number_of(index)];
}

/// Counts the blocks of one list of clean blocks. \return -1 if the list is broken.
std::int64_t count_list(block_table const& table, lru_list const& list, bool fresh) noexcept {
    std::int64_t count = 0;
    std::uint32_t previous = 0;
    std::uint64_t used_at = 0;
    if (list.oldest_used_at.load() != (list.oldest != 0 ? table[list.oldest - 1].used_at : lru_list::never)) {
        return -1;
    }
    for (auto link = list.oldest; link != 0; link = table[link - 1].lru_next) {
        auto const& found = table[link - 1];
        if (found.lru_prev != previous || found.state != block_state::clean || found.fresh != fresh ||
            found.used_at < used_at) {
            return -1;
        }
        used_at = found.used_at;
        previous = link;
        ++count;
    }
    return list.newest == previous ? count : -1;
}

bool newer_agrees(block_table const& table, block_entry const& found) noexcept {
    return !found.has_newer ||
           (found.state == block_state::flushing && at(table, found.newer).state == block_state::dirty &&
            at(table, found.newer).key == found.key);
}

} // namespace

void cache_stripe::link(block_table const& table, block_index index) noexcept {
    auto& added = at(table, index);
    added.next = std::exchange(buckets[bucket_of(added.key)], number_of(index) + 1);
}

void cache_stripe::unlink(block_table const& table, block_index index) noexcept {
    auto* link = &buckets[bucket_of(at(table, index).key)];
    while (*link != number_of(index) + 1) {
        assert(*link != 0);
        link = &table[*link - 1].next;
    }
    *link = at(table, index).next;
}

void cache_stripe::lru_push(block_table const& table, block_index index, std::uint64_t now) noexcept {
    auto& pushed = at(table, index);
    auto& list = clean[pushed.fresh ? 1 : 0];
    pushed.used_at = now;
    if (pushed.fresh && list.newest == 0) {
        oldest_entered.store(pushed.entered_at, std::memory_order_relaxed);
    }
    pushed.lru_prev = list.newest;
    pushed.lru_next = 0;
    if (list.newest != 0) {
        table[list.newest - 1].lru_next = number_of(index) + 1;
    } else {
        list.oldest = number_of(index) + 1;
        list.oldest_used_at.store(pushed.used_at, std::memory_order_relaxed);
    }
    list.newest = number_of(index) + 1;
}

void cache_stripe::lru_remove(block_table const& table, block_index index) noexcept {
    auto const& removed = at(table, index);
    auto& list = clean[removed.fresh ? 1 : 0];
    (removed.lru_next != 0 ? table[removed.lru_next - 1].lru_prev : list.newest) = removed.lru_prev;
    if (removed.lru_prev != 0) {
        table[removed.lru_prev - 1].lru_next = removed.lru_next;
        return;
    }
    list.oldest = removed.lru_next;
    if (removed.fresh && removed.lru_next != 0) {
        oldest_entered.store(table[removed.lru_next - 1].entered_at, std::memory_order_relaxed);
    }
    list.oldest_used_at.store(removed.lru_next != 0 ? table[removed.lru_next - 1].used_at : lru_list::never,
                              std::memory_order_relaxed);
}

void cache_stripe::grow(block_table const& table, std::size_t count) {
    if (buckets.size() >= count) {
        return;
    }
    auto const before = std::exchange(buckets, std::vector<std::uint32_t>(count));
    for (auto chain : before) {
        while (chain != 0) {
            auto const rest = table[chain - 1].next;
            link(table, block_index{chain - 1});
            chain = rest;
        }
    }
}

cache_stripe::census cache_stripe::take_census(block_table const& table, block_pool const& pool) const noexcept {
    census found;
    for (auto link : buckets) {
        for (; link != 0; link = table[link - 1].next) {
            auto const& each = table[link - 1];
            found.good = found.good && each.state != block_state::absent && !each.detached &&
                         pool.references(block_index{link - 1}) > 0 && newer_agrees(table, each);
            found.clean += each.state == block_state::clean ? 1 : 0;
            found.filling += each.state == block_state::filling ? 1 : 0;
            found.dirty += each.state == block_state::dirty || each.state == block_state::flushing ? 1 : 0;
        }
    }
    auto const had = count_list(table, clean[0], false);
    auto const fresh = count_list(table, clean[1], true);
    found.good = found.good && had >= 0 && fresh >= 0 && had + fresh == found.clean;
    return found;
}

} // namespace seedbed
