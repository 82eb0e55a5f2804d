#include "core/cache/dirty_blocks.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

class dirty_blocks_test {
protected:
    dirty_block block(std::int64_t offset, int length, unsigned char value, void* writer = nullptr) {
        dirty_block made{offset, length, std::make_shared<pool_block>(m_pool), writer};
        std::ranges::fill(made.memory->bytes(), std::byte{value});
        return made;
    }
    /// The offsets of what overlaps.
    std::vector<std::int64_t> offsets(std::int64_t offset, std::int64_t length) {
        std::vector<std::int64_t> found;
        for (auto const& each : dirty.overlapping(offset, length)) {
            found.push_back(each.stream_offset);
        }
        return found;
    }

    block_pool m_pool{16 * block_size};

public:
    dirty_blocks dirty;
};

using list = std::vector<std::int64_t>;

} // namespace

TEST_CASE_METHOD(dirty_blocks_test, "what overlaps is found, by the byte") {
    CHECK(dirty.empty());
    CHECK(dirty.add(block(100, 50, 1)));
    CHECK(dirty.add(block(200, 50, 2)));
    CHECK(dirty.add(block(150, 50, 3)));
    CHECK_FALSE(dirty.empty());
    CHECK(offsets(0, 100) == list{});
    CHECK(offsets(0, 101) == list{100});
    CHECK(offsets(149, 1) == list{100});
    CHECK(offsets(149, 2) == list{100, 150});
    CHECK(offsets(150, 50) == list{150});
    CHECK(offsets(120, 100) == list{100, 150, 200});
    CHECK(offsets(249, 1000) == list{200});
    CHECK(offsets(250, 1000) == list{});
}

TEST_CASE_METHOD(dirty_blocks_test, "writes of one block go out in the order of posting, one at a time") {
    int writers[3]{};
    CHECK(dirty.add(block(100, 50, 1, &writers[0])));
    CHECK_FALSE(dirty.add(block(100, 50, 2, &writers[1])));
    CHECK_FALSE(dirty.add(block(100, 50, 3, &writers[2])));
    CHECK(dirty.add(block(150, 50, 4)));
    auto const second = dirty.finish(100);
    REQUIRE(second.memory);
    CHECK(second.writer == &writers[1]);
    CHECK(second.bytes()[0] == std::byte{2});
    CHECK_FALSE(dirty.add(block(100, 50, 5)));
    CHECK(dirty.finish(100).writer == &writers[2]);
    CHECK(dirty.finish(100).bytes()[0] == std::byte{5});
    CHECK_FALSE(dirty.finish(100).memory);
    CHECK(offsets(0, 1000) == list{150});
    CHECK(dirty.add(block(100, 50, 6)));
}

TEST_CASE_METHOD(dirty_blocks_test, "only the newest write of a block is seen, until it has ended") {
    CHECK(dirty.add(block(100, 50, 1)));
    CHECK_FALSE(dirty.add(block(100, 50, 2)));
    auto const before = dirty.overlapping(0, 1000);
    REQUIRE(before.size() == 1);
    CHECK(before[0].bytes()[49] == std::byte{2});
    static_cast<void>(dirty.finish(100));
    CHECK(dirty.overlapping(0, 1000)[0].bytes()[0] == std::byte{2});
    static_cast<void>(dirty.finish(100));
    CHECK(dirty.empty());
    // Whoever looked still has the memory.
    CHECK(before[0].bytes()[0] == std::byte{2});
    CHECK(m_pool.in_use() == 1);
}

TEST_CASE_METHOD(dirty_blocks_test, "memory is given back when a write has ended") {
    CHECK(dirty.add(block(0, block_size, 1)));
    CHECK(m_pool.in_use() == 1);
    static_cast<void>(dirty.finish(0));
    CHECK(m_pool.in_use() == 0);
}

TEST_CASE_METHOD(dirty_blocks_test, "copy_overlap copies what both have and nothing else") {
    auto const source = block(100, 50, 7);
    auto const copied = [&source](std::int64_t offset, std::size_t length) {
        std::vector<std::byte> target(length);
        copy_overlap(source, offset, target);
        list places;
        for (std::size_t i = 0; i < length; ++i) {
            if (target[i] == std::byte{7}) {
                places.push_back(offset + static_cast<std::int64_t>(i));
            }
        }
        return places;
    };
    CHECK(copied(0, 100) == list{});
    CHECK(copied(150, 10) == list{});
    CHECK(copied(0, 101) == list{100});
    CHECK(copied(149, 10) == list{149});
    CHECK(copied(120, 2) == list{120, 121});
    CHECK(copied(90, 100).size() == 50);
    CHECK(copied(90, 100).front() == 100);
    CHECK(copied(100, 50).size() == 50);
    CHECK(copied(100, 0) == list{});
}

TEST_CASE_METHOD(dirty_blocks_test, "copy_overlap copies the right bytes") {
    auto const source = block(100, 50, 0);
    for (int i = 0; i < 50; ++i) {
        source.memory->bytes()[static_cast<std::size_t>(i)] = static_cast<std::byte>(i);
    }
    std::vector<std::byte> target(20);
    copy_overlap(source, 95, target);
    CHECK(target[5] == std::byte{0});
    CHECK(target[19] == std::byte{14});
    copy_overlap(source, 135, target);
    CHECK(target[0] == std::byte{35});
    CHECK(target[14] == std::byte{49});
    CHECK(target[15] == std::byte{10});
}
