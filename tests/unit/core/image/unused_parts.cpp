#include "core/image/unused_parts.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "support/device_bytes.hpp"
#include "support/fake_block_device.hpp"
#include "support/loop_device.hpp"
#include "support/open_to_write.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using extents = std::vector<extent>;

namespace {

constexpr std::int64_t mib = std::int64_t{1} << 20;

void fill(std::filesystem::path const& path, std::int64_t size) {
    std::ofstream out(path, std::ios::binary);
    out << std::string(static_cast<std::size_t>(size), 'x');
    REQUIRE(out.flush());
}

/// Bytes that a file occupies on its file system.
std::int64_t occupied(std::filesystem::path const& path) {
    struct ::stat status = {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return std::int64_t{status.st_blocks} * 512;
}

extents unused(extents const& used, std::int64_t size) {
    std::vector<packed_chunk> chunks;
    for (auto const& each : used) {
        packed_chunk chunk;
        chunk.offset = device_offset{each.device_offset};
        chunk.raw_length = static_cast<std::int32_t>(each.length);
        chunks.push_back(chunk);
    }
    return unused_parts(chunks, {}, size);
}

bool has_only(std::string const& path, std::int64_t offset, std::int64_t length, char wanted) {
    std::string bytes(static_cast<std::size_t>(length), '\0');
    std::ifstream in(path, std::ios::binary);
    in.seekg(offset);
    REQUIRE(in.read(bytes.data(), length));
    return bytes.find_first_not_of(wanted) == std::string::npos;
}

} // namespace

TEST_CASE("what an image does not use, in whole blocks, except both ends of the device") {
    CHECK(unused({}, 10 * mib) == extents{{mib, 8 * mib}});
    CHECK(unused({{0, 2 * mib}, {4 * mib, mib}}, 10 * mib) == extents{{2 * mib, 2 * mib}, {5 * mib, 4 * mib}});
    CHECK(unused({{512, 512}, {2 * mib + 512, 512}}, 4 * mib) == extents{{mib, mib}, {2 * mib + 4096, mib - 4096}});
    CHECK(unused({{0, 2 * mib}, {2 * mib + 4095, 1}}, 3 * mib + 4096).empty()); // less than a block
    CHECK(unused({{0, 10 * mib}}, 10 * mib).empty());
    CHECK(unused({}, mib).empty());
    CHECK(unused({}, 3 * mib + 512) == extents{{mib, mib}});
}

TEST_CASE("a range of a file becomes a hole, and the bytes around it stay") {
    test::temp_dir const folder;
    auto const path = folder / "file";
    fill(path, 4 * mib);
    auto const before = occupied(path);
    auto const device = test::open_to_write(path.string());
    REQUIRE(discard_range(*device, mib, 2 * mib));
    CHECK(occupied(path) <= before - 2 * mib);
    CHECK(std::filesystem::file_size(path) == 4 * mib);
    CHECK(has_only(path.string(), mib, 2 * mib, '\0'));
    CHECK(has_only(path.string(), 0, mib, 'x'));
    CHECK(has_only(path.string(), 3 * mib, mib, 'x'));
}

TEST_CASE("a range of a block device is discarded") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    test::temp_dir const folder;
    auto const file = folder / "file";
    fill(file, 4 * mib);
    test::loop_device::options wanted;
    wanted.file = file;
    test::loop_device const loop(wanted);
    auto const device = test::open_to_write(loop.path());
    auto const before = occupied(file);
    REQUIRE(discard_range(*device, mib, 2 * mib));
    CHECK(occupied(file) <= before - 2 * mib);
    CHECK(has_only(loop.path(), 3 * mib, mib, 'x'));
}

TEST_CASE("a range that cannot be discarded is an error, and nothing is changed") {
    test::fake_block_device fake(4 * mib);
    auto const refused = discard_range(fake, mib, mib);
    REQUIRE_FALSE(refused);
    CHECK(refused.error() == EOPNOTSUPP);
    CHECK(fake.accesses().empty());

    test::temp_dir const folder;
    fill(folder / "file", 2 * mib);
    auto const device = test::open_to_write((folder / "file").string());
    CHECK(discard_range(*device, mib, 2 * mib).error() == ENOSPC);
    CHECK(has_only((folder / "file").string(), 0, 2 * mib, 'x'));
}
