#include "core/cache/block_pool.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a pool holds whole blocks, at least one") {
    CHECK(block_pool(4 * block_size).capacity() == 4);
    CHECK(block_pool(4 * block_size + block_size - 1).capacity() == 4);
    CHECK(block_pool(block_size - 1).capacity() == 1);
    CHECK(block_pool(0).capacity() == 1);
    CHECK(block_pool(-1).capacity() == 1);
}

TEST_CASE("blocks are aligned, distinct and writable in full, those from the heap too") {
    block_pool pool(3 * block_size);
    std::vector<char*> blocks;
    for (int i = 0; i < 5; ++i) {
        auto* const block = pool.allocate();
        CHECK(reinterpret_cast<std::uintptr_t>(block) % 4096 == 0);
        std::memset(block, i, block_size);
        blocks.push_back(block);
    }
    for (int i = 0; i < 5; ++i) {
        CHECK(std::all_of(blocks[static_cast<std::size_t>(i)], blocks[static_cast<std::size_t>(i)] + block_size,
                          [i](char c) { return c == i; }));
    }
    CHECK(pool.in_use() == 5);
    CHECK(pool.borrowed() == 2);
    std::ranges::for_each(blocks, [&pool](char* block) { pool.free(block); });
    CHECK(pool.in_use() == 0);
    CHECK(pool.borrowed() == 0);
}

TEST_CASE("a block that comes back is the next one handed out") {
    block_pool pool(3 * block_size);
    auto* const first = pool.allocate();
    auto* const second = pool.allocate();
    pool.free(first);
    CHECK(pool.allocate() == first);
    pool.free(first);
    pool.free(second);
}

TEST_CASE("an exhausted pool uses its own blocks again before the heap's") {
    block_pool pool(block_size);
    auto* const own = pool.allocate();
    auto* const heap = pool.allocate();
    CHECK(pool.borrowed() == 1);
    pool.free(own);
    CHECK(pool.in_use() == 1);
    CHECK(pool.borrowed() == 1);
    CHECK(pool.allocate() == own);
    CHECK(pool.borrowed() == 1);
    pool.free(heap);
    CHECK(pool.borrowed() == 0);
    CHECK(pool.in_use() == 1);
    pool.free(own);
}

TEST_CASE("a shared block goes back with its last owner, unless it was given up") {
    block_pool pool(2 * block_size);
    auto owner = std::make_shared<pool_block>(pool);
    CHECK(owner->bytes().size() == static_cast<std::size_t>(block_size));
    CHECK(reinterpret_cast<char*>(owner->bytes().data()) == owner->data());
    auto other = owner;
    owner.reset();
    CHECK(pool.in_use() == 1);
    other.reset();
    CHECK(pool.in_use() == 0);

    char* given = nullptr;
    {
        pool_block block(pool);
        given = block.release();
        CHECK(block.data() == nullptr);
    }
    CHECK(pool.in_use() == 1);
    pool.free(given);
    CHECK(pool.in_use() == 0);
}

TEST_CASE("threads share a pool that is too small for them, and no block has two owners") {
    block_pool pool(8 * block_size);
    std::vector<int> spoilt(4);
    auto const work = [&pool, &spoilt](int self) {
        for (int round = 0; round < 500; ++round) {
            std::vector<char*> blocks(5);
            for (auto& block : blocks) {
                block = pool.allocate();
                std::memset(block, self, 64);
            }
            for (auto* const block : blocks) {
                spoilt[static_cast<std::size_t>(self)] += block[0] != self || block[63] != self;
                pool.free(block);
            }
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i) {
            threads.emplace_back(work, i);
        }
    }
    CHECK(spoilt == std::vector<int>(4));
    CHECK(pool.in_use() == 0);
    CHECK(pool.borrowed() == 0);
}
