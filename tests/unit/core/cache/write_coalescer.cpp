#include "core/cache/write_coalescer.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

using runs = std::vector<block_run>;
constexpr std::int32_t pieces = 4;
constexpr std::int32_t per_piece = 100;
constexpr std::int32_t in_last = 7;

/// A coalescer with a clock that the test advances.
struct fixture {
    explicit fixture(write_coalescer::policy rules = {10, 1000ms})
        : coalescer(pieces, per_piece, in_last, rules) {}

    runs add(std::int32_t piece, std::int32_t block) {
        runs leaving;
        coalescer.add(piece_index{piece}, block, now, leaving);
        return leaving;
    }
    runs due() {
        runs leaving;
        coalescer.take_due(now, leaving);
        return leaving;
    }
    runs all() {
        runs leaving;
        coalescer.take_all(leaving);
        return leaving;
    }

    write_coalescer coalescer;
    write_coalescer::clock::time_point now{};
};

} // namespace

TEST_CASE("a run leaves when it is long enough") {
    fixture f;
    for (std::int32_t block = 20; block < 29; ++block) {
        CHECK(f.add(1, block).empty());
    }
    CHECK(f.add(1, 29) == runs{{piece_index{1}, 20, 30}});
    CHECK(f.all().empty());
}

TEST_CASE("a block that closes a gap makes one run of two") {
    fixture f;
    for (std::int32_t block : {60, 61, 62, 63, 64, 66, 67, 68, 69}) {
        CHECK(f.add(0, block).empty());
    }
    CHECK(f.add(0, 65) == runs{{piece_index{0}, 60, 70}});
}

TEST_CASE("a piece leaves when it is complete, however short its last run") {
    fixture f({1000, 1000ms});
    for (std::int32_t block = per_piece - 1; block > 0; --block) {
        CHECK(f.add(2, block).empty());
    }
    CHECK(f.add(2, 0) == runs{{piece_index{2}, 0, per_piece}});
    for (std::int32_t block = 0; block + 1 < in_last; ++block) {
        CHECK(f.add(pieces - 1, block).empty());
    }
    CHECK(f.add(pieces - 1, in_last - 1) == runs{{piece_index{pieces - 1}, 0, in_last}});
    CHECK_FALSE(f.coalescer.next_due());
}

TEST_CASE("only the blocks of a complete piece that have not left yet leave") {
    fixture f({50, 1000ms});
    runs left;
    for (std::int32_t block = 0; block < per_piece; block += 2) {
        CHECK(f.add(0, block).empty());
    }
    CHECK(f.all().size() == 50);
    for (std::int32_t block = 1; block + 2 < per_piece; block += 2) {
        CHECK(f.add(0, block).empty());
    }
    left = f.add(0, per_piece - 1);
    CHECK(left.size() == 50);
    CHECK(left.front() == block_run{piece_index{0}, 1, 2});
}

TEST_CASE("blocks leave when the oldest of their piece has waited long enough") {
    fixture f;
    CHECK(f.add(0, 5).empty());
    f.now += 400ms;
    CHECK(f.add(0, 6).empty());
    CHECK(f.add(1, 1).empty());
    CHECK(f.coalescer.next_due() == write_coalescer::clock::time_point{} + 1000ms);
    f.now += 599ms;
    CHECK(f.due().empty());
    f.now += 1ms;
    CHECK(f.due() == runs{{piece_index{0}, 5, 7}});
    CHECK(f.coalescer.next_due() == write_coalescer::clock::time_point{} + 1400ms);
    f.now += 400ms;
    CHECK(f.due() == runs{{piece_index{1}, 1, 2}});
    CHECK_FALSE(f.coalescer.next_due());
}

TEST_CASE("without a delay nothing waits") {
    fixture f({10, 0ms});
    CHECK(f.add(0, 3) == runs{{piece_index{0}, 3, 4}});
    CHECK(f.add(0, 4) == runs{{piece_index{0}, 4, 5}});
    CHECK_FALSE(f.coalescer.next_due());
}

TEST_CASE("take_all appends every run, in the order of the device") {
    fixture f;
    static_cast<void>(f.add(2, 50));
    static_cast<void>(f.add(0, 99));
    static_cast<void>(f.add(0, 1));
    static_cast<void>(f.add(0, 0));
    CHECK(f.all() == runs{{piece_index{0}, 0, 2}, {piece_index{0}, 99, 100}, {piece_index{2}, 50, 51}});
    CHECK(f.all().empty());
}

TEST_CASE("blocks that were taken along do not leave again") {
    fixture f;
    static_cast<void>(f.add(0, 0));
    static_cast<void>(f.add(0, 1));
    static_cast<void>(f.add(0, 2));
    f.coalescer.taken({piece_index{0}, 1, 50});
    CHECK(f.all() == runs{{piece_index{0}, 0, 1}});
    f.coalescer.taken({piece_index{3}, 0, 2});
    CHECK_FALSE(f.coalescer.next_due());
}

TEST_CASE("a block that is written again waits again") {
    fixture f;
    static_cast<void>(f.add(0, 0));
    CHECK(f.all() == runs{{piece_index{0}, 0, 1}});
    CHECK(f.add(0, 0).empty());
    CHECK(f.all() == runs{{piece_index{0}, 0, 1}});
}

TEST_CASE("a run crosses the words of 64 blocks") {
    fixture f({100, 1000ms});
    static_cast<void>(f.add(0, 62));
    static_cast<void>(f.add(0, 63));
    static_cast<void>(f.add(0, 64));
    static_cast<void>(f.add(0, 65));
    CHECK(f.all() == runs{{piece_index{0}, 62, 66}});
}

TEST_CASE("a changed policy applies to the next block") {
    fixture f({10, 1000ms});
    CHECK(f.add(0, 0).empty());
    f.coalescer.set_policy({2, 1000ms});
    CHECK(f.add(0, 1) == runs{{piece_index{0}, 0, 2}});
}
