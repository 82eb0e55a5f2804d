#include "core/device/direct_io.hpp"

#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr direct_rules rules{4096, 512, 512};

/// Memory at \p address, which is not accessed.
iovec piece(std::uintptr_t address, std::size_t length) {
    return {reinterpret_cast<void*>(address), length};
}

struct part {
    std::int64_t offset;
    std::int64_t skip;
    std::int64_t length;
    bool direct;
    friend bool operator==(part const&, part const&) = default;
};

std::vector<part> plan(std::int64_t offset, std::vector<iovec> const& memory, direct_rules const& by = rules) {
    std::int64_t length = 0;
    for (auto const& each : memory) {
        length += static_cast<std::int64_t>(each.iov_len);
    }
    std::vector<part> parts;
    for (auto const& each : plan_transfer(by, offset, length, memory)) {
        parts.push_back({each.offset, each.skip, each.length, each.direct});
    }
    return parts;
}

} // namespace

namespace Catch {
template <>
struct StringMaker<part> {
    static std::string convert(part const& p) {
        return std::to_string(p.offset) + "+" + std::to_string(p.length) + (p.direct ? " direct" : " cached");
    }
};
} // namespace Catch

TEST_CASE("whole pages in aligned memory are direct") {
    CHECK(plan(8192, {piece(0x10000, 16384)}) == std::vector<part>{{8192, 0, 16384, true}});
    CHECK(plan(0, {piece(0x10000, 4096), piece(0x80000, 8192)}) == std::vector<part>{{0, 0, 12288, true}});
}

TEST_CASE("without direct I/O everything goes through the page cache") {
    CHECK(plan(8192, {piece(0x10000, 16384)}, {}) == std::vector<part>{{8192, 0, 16384, false}});
}

TEST_CASE("the edges of a run share pages with others and go through the page cache") {
    // 1 KiB into a page; memory with the same alignment as the device.
    CHECK(plan(1024, {piece(0x10400, 16384)}) ==
          std::vector<part>{{1024, 0, 3072, false}, {4096, 3072, 12288, true}, {16384, 15360, 1024, false}});
    CHECK(plan(4096, {piece(0x10000, 5000)}) == std::vector<part>{{4096, 0, 4096, true}, {8192, 4096, 904, false}});
}

TEST_CASE("a run without a whole page goes through the page cache") {
    CHECK(plan(512, {piece(0x10000, 1024)}) == std::vector<part>{{512, 0, 1024, false}});
    CHECK(plan(100, {piece(0x10000, 8000)}) == std::vector<part>{{100, 0, 8000, false}});
}

TEST_CASE("unaligned memory goes through the page cache") {
    CHECK(plan(4096, {piece(0x10001, 8192)}) == std::vector<part>{{4096, 0, 8192, false}});
    CHECK(plan(4096, {piece(0x10000, 4096), piece(0x20100, 4096)}) == std::vector<part>{{4096, 0, 8192, false}});
    CHECK(plan(0, {piece(0x10000, 1000), piece(0x20000, 7192)}) == std::vector<part>{{0, 0, 8192, false}});
}

TEST_CASE("memory aligned to sectors but not to pages is direct") {
    CHECK(plan(4096, {piece(0x10200, 4096), piece(0x20600, 512), piece(0x30000, 3584)}) ==
          std::vector<part>{{4096, 0, 8192, true}});
}

TEST_CASE("a disk with 4 KiB sectors requires memory aligned to pages") {
    direct_rules const native{4096, 4096, 4096};
    CHECK(plan(4096, {piece(0x10200, 4096)}, native) == std::vector<part>{{4096, 0, 4096, false}});
    CHECK(plan(4096, {piece(0x10000, 4096)}, native) == std::vector<part>{{4096, 0, 4096, true}});
}

TEST_CASE("a cursor treats pieces of memory as one run") {
    std::vector<iovec> const memory{piece(100, 10), piece(200, 5), piece(300, 20)};
    memory_cursor cursor(memory);
    std::vector<iovec> to(8);
    auto const peek = [&](std::int64_t bytes) {
        std::vector<std::pair<std::uintptr_t, std::size_t>> found;
        auto const count = cursor.peek(bytes, to);
        for (std::size_t i = 0; i < count; ++i) {
            found.emplace_back(reinterpret_cast<std::uintptr_t>(to[i].iov_base), to[i].iov_len);
        }
        return found;
    };
    using pieces = std::vector<std::pair<std::uintptr_t, std::size_t>>;
    CHECK(peek(12) == pieces{{100, 10}, {200, 2}});
    cursor.skip(12);
    CHECK(peek(100 - 77) == pieces{{202, 3}, {300, 20}});
    cursor.skip(3);
    CHECK(peek(4) == pieces{{300, 4}});
    to.resize(1);
    CHECK(peek(20) == pieces{{300, 20}});
}
