#include "core/cache/piece_cache.hpp"

#include <cstring>
#include <random>
#include <thread>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr std::uint32_t image = 7;

struct fixture {
    explicit fixture(std::int64_t blocks = 16, int stripes = 4)
        : pool(blocks * block_size)
        , cache(pool, stripes) {}
    ~fixture() { CHECK(cache.invariant_holds()); }

    block_ref filled(char content) {
        auto block = cache.allocate_for_write();
        REQUIRE(block);
        std::memset(block.data(), content, block_size);
        return block;
    }
    bool write(std::int32_t piece, std::int32_t block, char content, block_waiter* waiter = nullptr) {
        return cache.write({image, piece_index{piece}, block}, filled(content), block_size, waiter);
    }
    /// Writes and flushes blocks: they are clean then.
    void make_clean(std::int32_t piece, std::int32_t begin, std::int32_t end, char content) {
        for (auto block = begin; block < end; ++block) {
            REQUIRE(write(piece, block, content));
        }
        std::vector<piece_cache::flush_item> items;
        REQUIRE(cache.begin_flush(image, piece_index{piece}, begin, end, items) == end);
        end_flush(piece, items, true);
    }
    waiter_list end_flush(std::int32_t piece, std::vector<piece_cache::flush_item>& items, bool success) {
        auto waiters = cache.end_flush(image, piece_index{piece}, items, success, dirty_again);
        items.clear();
        return waiters;
    }
    piece_cache::lookup read(std::int32_t piece, std::int32_t block, std::int32_t begin, std::int32_t end,
                             block_waiter* waiter = nullptr) {
        return cache.read({image, piece_index{piece}, block}, begin, end, waiter, found, wanted);
    }
    bool in_memory(std::int32_t piece, std::int32_t block) {
        block_ref there;
        return cache.collect(image, piece_index{piece}, block, block + 1, {&there, 1}) == 1;
    }
    char content(std::int32_t piece, std::int32_t block) {
        block_ref there;
        return cache.collect(image, piece_index{piece}, block, block + 1, {&there, 1}) == 1 ? there.data()[1] : '\0';
    }

    block_pool pool;
    piece_cache cache;
    block_ref found;
    piece_cache::fill wanted;
    std::vector<std::int32_t> dirty_again;
};

int count(waiter_list const& list) {
    int n = 0;
    for (auto const* waiter = list.first; waiter != nullptr; waiter = waiter->next) {
        ++n;
    }
    return n;
}

} // namespace

TEST_CASE("an absent block is read together with adjacent blocks, and found afterwards") {
    fixture f;
    block_waiter waiter;
    REQUIRE(f.read(1, 5, 4, 8, &waiter) == piece_cache::lookup::must_fill);
    CHECK(f.wanted.first == block_key{image, piece_index{1}, 4});
    REQUIRE(f.wanted.blocks.size() == 4);
    std::memset(f.wanted.blocks[1].data(), 'x', block_size);
    auto const waited = f.cache.end_fill(f.wanted, true);
    REQUIRE(waited.first == &waiter);
    CHECK(waiter.block.data()[3] == 'x');
    waiter.block = {};
    CHECK(f.read(1, 5, 4, 8) == piece_cache::lookup::hit);
    CHECK(f.found.data()[3] == 'x');
    CHECK(f.read(1, 7, 4, 8) == piece_cache::lookup::hit);
    CHECK(f.cache.stats().hits == 2);
    CHECK(f.cache.stats().misses == 1);
}

TEST_CASE("a request for a block that is being read waits for that read") {
    fixture f;
    block_waiter first;
    block_waiter second;
    block_waiter third;
    REQUIRE(f.read(0, 0, 0, 4, &first) == piece_cache::lookup::must_fill);
    piece_cache::fill fill;
    std::swap(fill, f.wanted);
    CHECK(f.read(0, 2, 0, 4, &second) == piece_cache::lookup::waiting);
    CHECK(f.read(0, 0, 0, 4, &third) == piece_cache::lookup::waiting);
    CHECK_FALSE(f.in_memory(0, 0));
    CHECK(count(f.cache.end_fill(fill, true)) == 3);
    CHECK(first.block.index() == third.block.index());
    CHECK(second.block.index() == fill.blocks[2].index());
}

TEST_CASE("a failed read leaves nothing behind") {
    fixture f;
    block_waiter waiter;
    REQUIRE(f.read(0, 0, 0, 4, &waiter) == piece_cache::lookup::must_fill);
    CHECK(count(f.cache.end_fill(f.wanted, false)) == 1);
    CHECK_FALSE(waiter.block);
    f.wanted.blocks.clear();
    CHECK(f.pool.in_use() == 0);
    CHECK(f.read(0, 0, 0, 1, &waiter) == piece_cache::lookup::must_fill);
    static_cast<void>(f.cache.end_fill(f.wanted, true));
}

TEST_CASE("read-ahead stops at blocks that are in memory") {
    fixture f;
    f.make_clean(0, 1, 2, 'a');
    f.make_clean(0, 6, 7, 'a');
    REQUIRE(f.read(0, 4, 0, 8) == piece_cache::lookup::must_fill);
    CHECK(f.wanted.first.block == 2);
    CHECK(f.wanted.blocks.size() == 4);
    static_cast<void>(f.cache.end_fill(f.wanted, true));
}

TEST_CASE("read-ahead uses only free memory; the block itself is read in any case") {
    fixture f(3);
    auto const taken = std::vector{f.filled('a'), f.filled('b')};
    block_waiter waiter;
    REQUIRE(f.read(0, 4, 0, 8, &waiter) == piece_cache::lookup::must_fill);
    CHECK(f.wanted.first.block == 4);
    CHECK(f.wanted.blocks.size() == 1);
    static_cast<void>(f.cache.end_fill(f.wanted, true));
    REQUIRE(f.read(1, 4, 0, 8, nullptr) == piece_cache::lookup::must_fill);
    CHECK(f.pool.in_use() >= 3);
    static_cast<void>(f.cache.end_fill(f.wanted, true));
    waiter.block = {};
}

TEST_CASE("a written block is found at once, and its waiter is handed back when it is on the device") {
    fixture f;
    block_waiter waiter;
    CHECK(f.write(0, 3, 'w', &waiter));
    CHECK(f.cache.dirty() == 1);
    CHECK(f.read(0, 3, 0, 8) == piece_cache::lookup::hit);
    CHECK(f.found.data()[0] == 'w');
    std::vector<piece_cache::flush_item> items;
    CHECK(f.cache.begin_flush(image, piece_index{0}, 3, 8, items) == 4);
    REQUIRE(items.size() == 1);
    CHECK(items[0].block == 3);
    CHECK(items[0].length == block_size);
    CHECK(f.in_memory(0, 3));
    CHECK(f.end_flush(0, items, true).first == &waiter);
    CHECK(f.cache.dirty() == 0);
    CHECK(f.cache.stats().clean == 1);
    CHECK(f.read(0, 3, 0, 8) == piece_cache::lookup::hit);
}

TEST_CASE("only dirty blocks are taken for a write") {
    fixture f;
    f.make_clean(0, 0, 1, 'c');
    f.write(0, 1, 'd');
    std::vector<piece_cache::flush_item> items;
    CHECK(f.cache.begin_flush(image, piece_index{0}, 0, 4, items) == 0);
    CHECK(f.cache.begin_flush(image, piece_index{0}, 1, 4, items) == 2);
    std::vector<piece_cache::flush_item> again;
    CHECK(f.cache.begin_flush(image, piece_index{0}, 1, 4, again) == 1); // in flight already
    CHECK(again.empty());
    static_cast<void>(f.end_flush(0, items, true));
}

TEST_CASE("a dirty block that is written again is flushed once, with the new content, for both writers") {
    fixture f;
    block_waiter first;
    block_waiter second;
    CHECK(f.write(0, 0, 'a', &first));
    CHECK_FALSE(f.write(0, 0, 'b', &second));
    CHECK(f.cache.dirty() == 1);
    std::vector<piece_cache::flush_item> items;
    CHECK(f.cache.begin_flush(image, piece_index{0}, 0, 1, items) == 1);
    CHECK(items[0].memory.data()[9] == 'b');
    auto waited = f.end_flush(0, items, true);
    CHECK(waited.pop() == &first);
    CHECK(waited.pop() == &second);
}

TEST_CASE("a block that is written while it is being flushed is flushed again") {
    fixture f;
    block_waiter first;
    block_waiter second;
    block_waiter third;
    CHECK(f.write(0, 0, 'a', &first));
    std::vector<piece_cache::flush_item> items;
    CHECK(f.cache.begin_flush(image, piece_index{0}, 0, 1, items) == 1);
    CHECK_FALSE(f.write(0, 0, 'b', &second));
    CHECK(f.content(0, 0) == 'b');
    CHECK(items[0].memory.data()[9] == 'a');
    CHECK_FALSE(f.write(0, 0, 'c', &third));
    CHECK(f.content(0, 0) == 'c');
    CHECK(f.read(0, 0, 0, 1) == piece_cache::lookup::hit);
    CHECK(f.found.data()[0] == 'c');

    auto const waited = f.end_flush(0, items, true);
    CHECK(waited.first == &first);
    CHECK(waited.last == &first);
    CHECK(f.dirty_again == std::vector<std::int32_t>{0});
    CHECK(f.cache.dirty() == 1);
    CHECK(f.cache.begin_flush(image, piece_index{0}, 0, 1, items) == 1);
    CHECK(items[0].memory.data()[9] == 'c');
    CHECK(count(f.end_flush(0, items, true)) == 2);
    CHECK(f.cache.dirty() == 0);
}

TEST_CASE("a write during a read wins, and the reader gets the bytes it read") {
    fixture f;
    block_waiter reader;
    REQUIRE(f.read(0, 0, 0, 1, &reader) == piece_cache::lookup::must_fill);
    std::memset(f.wanted.blocks[0].data(), 'o', block_size);
    CHECK(f.write(0, 0, 'n'));
    CHECK(f.content(0, 0) == 'n');
    CHECK(f.cache.end_fill(f.wanted, true).first == &reader);
    CHECK(reader.block.data()[0] == 'o');
    CHECK(f.content(0, 0) == 'n');
    reader.block = {};
    f.wanted.blocks.clear();
    CHECK(f.pool.in_use() == 1);
}

TEST_CASE("a failed write leaves no block that looks written") {
    fixture f;
    block_waiter waiter;
    f.write(0, 0, 'a', &waiter);
    std::vector<piece_cache::flush_item> items;
    static_cast<void>(f.cache.begin_flush(image, piece_index{0}, 0, 1, items));
    CHECK(f.end_flush(0, items, false).first == &waiter);
    CHECK_FALSE(f.in_memory(0, 0));
    CHECK(f.cache.dirty() == 0);
    CHECK(f.cache.stats().clean == 0);
    CHECK(f.pool.in_use() == 0);
}

TEST_CASE("clean blocks are evicted, the least recently used first, dirty ones never") {
    fixture f(4, 1);
    f.make_clean(0, 0, 3, 'c');
    f.write(0, 9, 'd');
    CHECK(f.read(0, 0, 0, 1) == piece_cache::lookup::hit); // used last
    f.found = {};
    auto const one = f.filled('x');
    CHECK(f.pool.in_use() == 4);
    CHECK(f.in_memory(0, 0));
    CHECK_FALSE(f.in_memory(0, 1));
    CHECK(f.in_memory(0, 2));
    CHECK(f.in_memory(0, 9));
    auto const two = f.filled('x');
    auto const three = f.filled('x');
    CHECK_FALSE(f.in_memory(0, 2));
    CHECK_FALSE(f.in_memory(0, 0));
    auto const beyond = f.filled('x');
    CHECK(f.pool.in_use() == 5); // no clean block is left: the pool lends
    CHECK(f.content(0, 9) == 'd');
}

TEST_CASE("a block that no peer has received stays longer than one that a peer has") {
    fixture f(4, GENERATE(1, 8));
    block_waiter waiter;
    REQUIRE(f.read(0, 1, 0, 3, &waiter) == piece_cache::lookup::must_fill); // reads 0 and 2, too
    static_cast<void>(f.cache.end_fill(f.wanted, true));
    f.wanted.blocks.clear();
    waiter.block = {};
    f.make_clean(5, 0, 1, 'c'); // used later than any of these
    REQUIRE(f.read(0, 2, 2, 3) == piece_cache::lookup::hit);
    f.found = {};
    std::vector<block_ref> taken;
    auto const gone = [&](std::int32_t piece, std::int32_t block) {
        taken.push_back(f.filled('x'));
        return !f.in_memory(piece, block);
    };
    CHECK(gone(0, 1));
    CHECK(gone(5, 0));
    CHECK(gone(0, 2));
    CHECK(f.in_memory(0, 0));
    CHECK(gone(0, 0));
    CHECK(f.cache.invariant_holds());
}

TEST_CASE("a hash does not count as a peer that has received the block") {
    fixture f(2, 1);
    REQUIRE(f.cache.read({image, piece_index{0}, 0}, 0, 1, nullptr, f.found, f.wanted, false) ==
            piece_cache::lookup::must_fill);
    static_cast<void>(f.cache.end_fill(f.wanted, true));
    f.wanted.blocks.clear();
    REQUIRE(f.cache.read({image, piece_index{0}, 0}, 0, 1, nullptr, f.found, f.wanted, false) ==
            piece_cache::lookup::hit);
    f.found = {};
    f.make_clean(0, 1, 2, 'c');
    auto const one = f.filled('x');
    CHECK(f.in_memory(0, 0));
    CHECK_FALSE(f.in_memory(0, 1));
}

TEST_CASE("a block that no peer requests is finally evicted") {
    fixture f(4, 1);
    REQUIRE(f.read(0, 0, 0, 2) == piece_cache::lookup::must_fill);
    static_cast<void>(f.cache.end_fill(f.wanted, true));
    f.wanted.blocks.clear();
    for (std::int32_t block = 2; block < 12; ++block) { // more than twice the pool
        f.make_clean(0, block, block + 1, 'c');
    }
    CHECK_FALSE(f.in_memory(0, 1));
    CHECK(f.in_memory(0, 11));
}

TEST_CASE("the oldest block of all stripes is evicted") {
    fixture f(64, 8);
    for (std::int32_t piece = 0; piece < 64; ++piece) {
        f.make_clean(piece, 0, 1, 'c');
    }
    std::vector<block_ref> taken;
    for (std::int32_t piece = 0; piece < 64; ++piece) {
        CHECK(f.in_memory(piece, 0));
        taken.push_back(f.filled('x'));
        CHECK_FALSE(f.in_memory(piece, 0));
    }
}

TEST_CASE("a clean block that is being sent is skipped") {
    fixture f(2, 1);
    f.make_clean(0, 0, 2, 'c');
    CHECK(f.read(0, 0, 0, 1) == piece_cache::lookup::hit);
    auto const one = f.filled('x');
    CHECK(f.in_memory(0, 0));
    CHECK_FALSE(f.in_memory(0, 1));
}

TEST_CASE("memory is found in every stripe") {
    fixture f(64, 8);
    for (std::int32_t piece = 0; piece < 64; ++piece) {
        f.make_clean(piece, 0, 1, 'c');
    }
    std::vector<block_ref> taken;
    for (int i = 0; i < 64; ++i) {
        taken.push_back(f.filled('x'));
    }
    CHECK(f.pool.in_use() == 64);
    CHECK(f.cache.stats().clean == 0);
}

TEST_CASE("any mix of uses can take the whole pool") {
    fixture f(100);
    SECTION("writes alone") {
        for (std::int32_t block = 0; block < 100; ++block) {
            CHECK(f.write(0, block, 'w'));
        }
        CHECK(f.cache.dirty() == 100);
    }
    SECTION("reads alone") {
        for (std::int32_t block = 0; block < 100; block += 10) {
            REQUIRE(f.read(0, block, block, block + 10) == piece_cache::lookup::must_fill);
            CHECK(f.wanted.blocks.size() == 10);
            static_cast<void>(f.cache.end_fill(f.wanted, true));
        }
        CHECK(f.cache.stats().clean == 100);
    }
    CHECK(f.pool.in_use() == 100);
}

TEST_CASE("a limit of clean blocks holds, down to none, and can change") {
    fixture f(100, 1);
    f.make_clean(0, 0, 20, 'c');
    f.cache.set_clean_limit(5 * block_size);
    CHECK(f.cache.stats().clean == 5);
    CHECK(f.in_memory(0, 19));
    f.make_clean(1, 0, 20, 'c');
    CHECK(f.cache.stats().clean == 5);
    f.cache.set_clean_limit(0);
    CHECK(f.cache.stats().clean == 0);
    f.make_clean(2, 0, 3, 'c');
    CHECK(f.cache.stats().clean == 0);
    CHECK(f.pool.in_use() == 0);
}

TEST_CASE("the pool shrinks and grows under the cache") {
    fixture f(64);
    for (std::int32_t piece = 0; piece < 8; ++piece) {
        f.make_clean(piece, 0, 8, 'c');
    }
    CHECK(f.pool.in_use() == 64);
    f.pool.set_capacity(16 * block_size);
    f.cache.pool_resized();
    CHECK(f.pool.in_use() == 16);
    f.pool.set_capacity(4096 * block_size);
    f.cache.pool_resized();
    CHECK(f.cache.invariant_holds());
    for (std::int32_t piece = 8; piece < 108; ++piece) {
        f.make_clean(piece, 0, 8, 'c');
    }
    CHECK(f.cache.stats().clean == 816);
}

TEST_CASE("dropping an image's clean blocks keeps those of other images") {
    fixture f;
    f.make_clean(0, 0, 2, 'c');
    REQUIRE(f.cache.write({image + 1, piece_index{0}, 0}, f.filled('o'), block_size, nullptr));
    f.cache.drop_clean(image);
    CHECK(f.cache.stats().clean == 0);
    CHECK(f.cache.dirty() == 1);
    std::vector<piece_cache::flush_item> items;
    static_cast<void>(f.cache.begin_flush(image + 1, piece_index{0}, 0, 1, items));
    static_cast<void>(f.cache.end_flush(image + 1, piece_index{0}, items, true, f.dirty_again));
    f.cache.drop_clean(image);
    CHECK(f.cache.stats().clean == 1);
}

TEST_CASE("threads that read, write and flush the same pieces leave consistent tables") {
    constexpr int threads = 4;
    fixture f(256, 8);
    std::vector<std::thread> all;
    std::atomic<int> wrong{0};
    for (int t = 0; t < threads; ++t) {
        all.emplace_back([&f, &wrong, t] {
            std::minstd_rand random(static_cast<unsigned>(t) + 1);
            piece_cache::fill fill;
            block_ref there;
            std::vector<piece_cache::flush_item> items;
            std::vector<std::int32_t> again;
            std::vector<block_waiter> waiters(4);
            for (int round = 0; round < 20'000; ++round) {
                auto const piece = static_cast<std::int32_t>(random() % 24);
                auto const block = static_cast<std::int32_t>(random() % 32);
                auto const mark = static_cast<char>(piece + 1);
                switch (random() % 3) {
                case 0:
                    if (f.cache.read({image, piece_index{piece}, block}, block, block + 4, nullptr, there, fill) ==
                        piece_cache::lookup::must_fill) {
                        for (auto const& each : fill.blocks) {
                            std::memset(each.data(), mark, 64);
                        }
                        static_cast<void>(f.cache.end_fill(fill, random() % 8 != 0));
                        fill.blocks.clear();
                    } else if (there) {
                        wrong += there.data()[5] == mark ? 0 : 1;
                        there = {};
                    }
                    break;
                case 1: {
                    auto memory = f.cache.allocate_for_write();
                    std::memset(memory.data(), mark, 64);
                    static_cast<void>(
                        f.cache.write({image, piece_index{piece}, block}, std::move(memory), block_size, nullptr));
                    break;
                }
                default:
                    static_cast<void>(f.cache.begin_flush(image, piece_index{piece}, block, block + 8, items));
                    static_cast<void>(f.cache.end_flush(image, piece_index{piece}, items, random() % 8 != 0, again));
                    items.clear();
                    break;
                }
            }
        });
    }
    for (auto& thread : all) {
        thread.join();
    }
    CHECK(wrong == 0);
    CHECK(f.cache.invariant_holds());
    CHECK(f.cache.stats().locks > 0);
}
