#include "core/cache/cache_stripe.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr std::array all_states{block_state::absent, block_state::filling, block_state::dirty, block_state::flushing,
                                block_state::clean};

/// Three clean blocks and a dirty one.
struct fixture {
    fixture() {
        stripe.grow(table, 4);
        for (std::int32_t block = 0; block < 4; ++block) {
            auto const index = blocks.emplace_back(pool.allocate()).index();
            entry(block).begin({1, piece_index{0}, block}, block == 3 ? block_state::dirty : block_state::filling);
            stripe.link(table, index);
            if (block < 3) {
                entry(block).become(block_state::clean);
                stripe.lru_push(table, index, static_cast<std::uint64_t>(block));
            }
        }
    }

    [[nodiscard]] block_entry& entry(std::int32_t block) const {
        return table[static_cast<std::size_t>(index_of(block))];
    }
    [[nodiscard]] block_index index_of(std::int32_t block) const {
        return blocks[static_cast<std::size_t>(block)].index();
    }
    [[nodiscard]] bool good() const { return stripe.take_census(table, pool).good; }

    block_pool pool{16 * block_size};
    block_table table{pool.reserved()};
    cache_stripe stripe;
    std::vector<block_ref> blocks;
};

} // namespace

TEST_CASE("a block changes state only along the documented transitions") {
    using enum block_state;
    std::vector<std::pair<block_state, block_state>> const documented{
        {absent, filling}, {filling, clean}, {clean, absent},    {absent, dirty},   {dirty, flushing},
        {flushing, clean}, {dirty, absent},  {flushing, absent}, {filling, absent},
    };
    for (auto const from : all_states) {
        for (auto const to : all_states) {
            CAPTURE(static_cast<int>(from), static_cast<int>(to));
            CHECK(is_legal(from, to) == (std::ranges::count(documented, std::pair(from, to)) == 1));
        }
    }
}

TEST_CASE("the census counts the blocks of a stripe by state") {
    fixture f;
    auto const found = f.stripe.take_census(f.table, f.pool);
    CHECK(found.good);
    CHECK(found.clean == 3);
    CHECK(found.dirty == 1);
    CHECK(found.filling == 0);
}

TEST_CASE("the census finds each inconsistency") {
    fixture f;
    SECTION("a block without a reference") {
        f.blocks[0] = {};
    }
    SECTION("a clean block that is not in a list") {
        f.stripe.lru_remove(f.table, f.index_of(1));
    }
    SECTION("a list with a block that is not clean") {
        f.entry(2).state = block_state::dirty;
    }
    SECTION("a list out of order") {
        f.entry(2).used_at = 0;
        f.entry(1).used_at = 7;
    }
    SECTION("a block in the wrong list") {
        f.entry(0).fresh = false;
    }
    SECTION("a dirty block with a newer one behind it") {
        f.entry(3).has_newer = true;
    }
    SECTION("a detached block that is found") {
        f.entry(3).detached = true;
    }
    CHECK_FALSE(f.good());
}

TEST_CASE("more buckets lose no block") {
    fixture f;
    f.stripe.grow(f.table, 64);
    for (std::int32_t block = 0; block < 4; ++block) {
        CHECK(f.stripe.find(f.table, {1, piece_index{0}, block}) == f.index_of(block));
    }
    CHECK(f.stripe.find(f.table, {1, piece_index{1}, 0}) == no_block);
    CHECK(f.good());
}
