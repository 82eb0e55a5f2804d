#include "core/backend/piece_hasher.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr std::int32_t chunk_bytes = 1024 * kib;

image_plan one_extent(std::int64_t length) {
    image_plan plan;
    plan.piece_length = 4 * chunk_bytes;
    plan.extents = {{4096, length}};
    return plan;
}

dirty_block dirty(block_pool& pool, std::int64_t offset, std::uint32_t seed) {
    dirty_block made{offset, block_size, std::make_shared<pool_block>(pool), nullptr};
    std::ranges::copy(pattern(block_size, seed), made.memory->bytes().begin());
    return made;
}

} // namespace

TEST_CASE("pieces around the size of a chunk") {
    auto const length =
        GENERATE(1, chunk_bytes - 1, chunk_bytes, chunk_bytes + 1, 2 * chunk_bytes, 3 * chunk_bytes + 5);
    test_image const image(one_extent(length));
    lt::sha1_hash digest;
    piece_hash_request request;
    request.v1 = true;
    REQUIRE(hash_piece(*image.storage, request, digest));
    CHECK(digest == sha1_of(image.stream()));
    CHECK(image.device->accesses(operation::read).size() ==
          static_cast<std::size_t>((length + chunk_bytes - 1) / chunk_bytes));
    CHECK(image.storage->bytes_read() == length);
}

TEST_CASE("nothing asked for, nothing read") {
    test_image const image(one_extent(chunk_bytes));
    lt::sha1_hash digest;
    REQUIRE(hash_piece(*image.storage, {}, digest));
    CHECK(digest == lt::sha1_hash{});
    CHECK(image.device->accesses().empty());
}

TEST_CASE("block hashes alone read no further than the file goes") {
    test_image const image(one_extent(2 * chunk_bytes));
    auto const size = chunk_bytes + 20 * kib;
    std::vector<lt::sha256_hash> blocks(chunk_bytes / block_size + 2);
    piece_hash_request request;
    request.block_hashes = blocks;
    request.v2_size = size;
    lt::sha1_hash digest;
    REQUIRE(hash_piece(*image.storage, request, digest));
    CHECK(image.storage->bytes_read() == size);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const at = static_cast<std::int64_t>(i) * block_size;
        CHECK(blocks[i] == sha256_of(image.stream(at, std::min<std::int64_t>(block_size, size - at))));
    }
}

TEST_CASE("a chunk that dirty blocks cover is not read, one with a hole is") {
    test_image const image(one_extent(2 * chunk_bytes));
    block_pool pool(128 * block_size);
    piece_hash_request request;
    request.v1 = true;
    auto expected = image.stream();
    for (int i = 0; i < chunk_bytes / block_size; ++i) {
        request.overlay.push_back(dirty(pool, std::int64_t{i} * block_size, static_cast<std::uint32_t>(i)));
    }
    std::size_t reads = 1;
    SECTION("the whole first chunk") {}
    SECTION("but its last block") {
        request.overlay.pop_back();
        reads = 2;
    }
    SECTION("but one in the middle") {
        request.overlay.erase(request.overlay.begin() + 7);
        reads = 2;
    }
    SECTION("but its first") {
        request.overlay.erase(request.overlay.begin());
        reads = 2;
    }
    SECTION("and one of the second chunk") {
        request.overlay.push_back(dirty(pool, chunk_bytes + 3 * block_size, 1000));
    }
    for (auto const& block : request.overlay) {
        std::ranges::copy(block.bytes(), expected.begin() + block.stream_offset);
    }
    lt::sha1_hash digest;
    REQUIRE(hash_piece(*image.storage, request, digest));
    CHECK(digest == sha1_of(expected));
    CHECK(image.device->accesses(operation::read).size() == reads);
}

TEST_CASE("an error ends the hash at once and leaves nothing behind for the next one") {
    test_image const image(one_extent(4 * chunk_bytes));
    image.device->fail(operation::read, EIO, 4096 + chunk_bytes, 1, 1);
    piece_hash_request request;
    request.v1 = true;
    lt::sha1_hash digest;
    auto const failed = hash_piece(*image.storage, request, digest);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == EIO);
    CHECK(failed.error().offset == 4096 + chunk_bytes);
    CHECK(digest == lt::sha1_hash{});
    CHECK(image.device->accesses().size() == 2);
    REQUIRE(hash_piece(*image.storage, request, digest));
    CHECK(digest == sha1_of(image.stream()));
}

TEST_CASE("one block's hash") {
    test_image const image(test_image::awkward());
    block_pool pool(block_size);
    lt::sha256_hash digest;
    REQUIRE(hash_block(*image.storage, block_size, 100, {}, digest));
    CHECK(digest == sha256_of(image.stream(block_size, 100)));
    REQUIRE(hash_block(*image.storage, block_size, block_size, {dirty(pool, block_size, 5)}, digest));
    CHECK(digest == sha256_of(pattern(block_size, 5)));
    image.device->fail(operation::read, EIO);
    CHECK_FALSE(hash_block(*image.storage, 0, 100, {}, digest));
}
