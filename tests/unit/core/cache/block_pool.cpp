#include "core/cache/block_pool.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

std::vector<block_ref> take(block_pool& pool, std::size_t count) {
    std::vector<block_ref> taken;
    for (std::size_t i = 0; i < count; ++i) {
        taken.push_back(pool.allocate());
    }
    return taken;
}

} // namespace

TEST_CASE("a pool provides exactly as many blocks as fit its size") {
    block_pool pool(10 * block_size + block_size / 2);
    CHECK(pool.capacity() == 10);
    auto taken = take(pool, 10);
    CHECK(std::ranges::all_of(taken, [](block_ref const& block) { return static_cast<bool>(block); }));
    CHECK(pool.in_use() == 10);
    CHECK_FALSE(pool.allocate());
    CHECK(pool.in_use() == 10);
    taken.pop_back();
    CHECK(pool.in_use() == 9);
    CHECK(pool.allocate());
}

TEST_CASE("a pool has at least one block") {
    CHECK(block_pool(0).capacity() == 1);
    CHECK(block_pool(block_size - 1).capacity() == 1);
}

TEST_CASE("blocks are aligned, disjoint, and writable to their ends") {
    block_pool pool(64 * block_size);
    auto const taken = take(pool, 64);
    std::set<char*> addresses;
    for (auto const& block : taken) {
        CHECK(reinterpret_cast<std::uintptr_t>(block.data()) % 4096 == 0);
        std::memset(block.data(), static_cast<int>(addresses.size()), block_size);
        addresses.insert(block.data());
    }
    CHECK(addresses.size() == 64);
    for (std::size_t i = 0; i < taken.size(); ++i) {
        auto const bytes = taken[i].bytes();
        CHECK(std::ranges::all_of(bytes, [i](std::byte b) { return b == static_cast<std::byte>(i); }));
    }
}

TEST_CASE("a block returns to the pool with its last owner") {
    block_pool pool(2 * block_size);
    auto first = pool.allocate();
    auto const index = first.index();
    {
        auto second = first;
        CHECK(pool.references(index) == 2);
        first = {};
        CHECK(pool.references(index) == 1);
        CHECK(pool.in_use() == 1);
        auto moved = std::move(second);
        CHECK(pool.references(index) == 1);
    }
    CHECK(pool.in_use() == 0);
}

TEST_CASE("any address within a block yields its number") {
    block_pool pool(3 * block_size);
    auto const taken = take(pool, 3);
    for (auto const& block : taken) {
        CHECK(pool.index_of(block.data()) == block.index());
        CHECK(pool.index_of(block.data() + block_size - 1) == block.index());
    }
}

TEST_CASE("a released reference is returned by its number") {
    block_pool pool(block_size);
    auto block = pool.allocate();
    auto* const data = block.data();
    static_cast<void>(block.release());
    CHECK(pool.in_use() == 1);
    pool.release(pool.index_of(data));
    CHECK(pool.in_use() == 0);
}

TEST_CASE("the pool lends blocks beyond its size, and returns to it afterwards") {
    block_pool pool(2 * block_size);
    auto taken = take(pool, 2);
    auto extra = pool.allocate_beyond();
    REQUIRE(extra);
    CHECK(pool.in_use() == 3);
    CHECK_FALSE(pool.allocate());
    taken.pop_back();
    CHECK_FALSE(pool.allocate()); // still two in use
    extra = {};
    CHECK(pool.allocate());
}

TEST_CASE("the size changes while blocks are in use") {
    block_pool pool(4 * block_size);
    auto taken = take(pool, 4);
    std::memset(taken[3].data(), 7, block_size);
    pool.set_capacity(2 * block_size);
    CHECK(pool.capacity() == 2);
    CHECK(taken[3].bytes()[17] == std::byte{7});
    taken.resize(2);
    CHECK_FALSE(pool.allocate());
    taken.pop_back();
    CHECK(pool.allocate());
    pool.set_capacity(8 * block_size);
    CHECK(take(pool, 7).back());
}

TEST_CASE("as many blocks again as were ever handed out are to be backed") {
    constexpr std::int64_t mib = 1 << 20;
    block_pool pool(400 * mib);
    int calls = 0;
    pool.on_growth([&calls] { ++calls; });
    auto const to_populate = [&pool] { return static_cast<std::int64_t>(pool.to_populate()) * block_size / mib; };
    CHECK(to_populate() == 4);
    auto taken = take(pool, 2 * mib / block_size);
    CHECK(calls == 1);
    CHECK(to_populate() == 6);
    taken = take(pool, 32 * mib / block_size); // before those are given back
    CHECK(calls == 17);
    CHECK(to_populate() == 68);
    taken.clear();
    taken = take(pool, 34 * mib / block_size);
    CHECK(calls == 17);
    CHECK(to_populate() == 68);
    auto const more = take(pool, 200 * mib / block_size);
    CHECK(to_populate() == 234 + 64);
}

TEST_CASE("many threads take and return blocks without sharing one") {
    constexpr int threads = 4;
    constexpr int rounds = 20'000;
    block_pool pool(threads * 3 * block_size);
    std::atomic<int> clashes{0};
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t) {
        all.emplace_back([&, t] {
            for (int round = 0; round < rounds; ++round) {
                auto blocks = take(pool, 3);
                for (auto const& block : blocks) {
                    if (!block) {
                        ++clashes;
                        continue;
                    }
                    std::memcpy(block.data(), &t, sizeof t);
                }
                for (auto const& block : blocks) {
                    int owner = -1;
                    if (block) {
                        std::memcpy(&owner, block.data(), sizeof owner);
                    }
                    clashes += owner == t ? 0 : 1;
                }
            }
        });
    }
    for (auto& thread : all) {
        thread.join();
    }
    CHECK(clashes == 0);
    CHECK(pool.in_use() == 0);
}
