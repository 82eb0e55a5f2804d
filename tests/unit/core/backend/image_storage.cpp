#include "core/backend/image_storage.hpp"

#include <cerrno>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

TEST_CASE("pieces and offsets of the stream") {
    test_image const image(test_image::awkward());
    auto const& storage = *image.storage;
    std::int64_t const total = storage.torrent().extents.total_size();
    CHECK(storage.stream_offset(0, 0) == 0);
    CHECK(storage.stream_offset(2, 5) == 128 * kib + 5);
    CHECK(storage.piece_size(0) == 64 * kib);
    CHECK(storage.piece_size(image.pieces() - 1) == total - 192 * kib);
    CHECK(storage.piece_size(image.pieces()) == 0);
    CHECK(&storage.device() == image.device);
}

TEST_CASE("offsets of the stream beyond 32 bits") {
    image_plan plan;
    plan.extents = {{0, 512}};
    test_image const image(plan);
    CHECK(image.storage->stream_offset(1 << 20, 1) == (std::int64_t{1} << 36) + 1);
}

TEST_CASE("a range of the stream is one access for each extent, in order") {
    test_image const image(test_image::awkward());
    bytes buffer(2000);
    REQUIRE(image.storage->read(500, buffer));
    CHECK(image.device->accesses() ==
          std::vector<fake_block_device::access>{{operation::read, 1012, 500}, {operation::read, 4096, 1500}});
    CHECK(buffer == image.stream(500, 2000));
    CHECK(image.storage->bytes_read() == 2000);

    image.device->clear_accesses();
    auto const data = pattern(2000, 9);
    REQUIRE(image.storage->write(500, data));
    CHECK(image.device->accesses() ==
          std::vector<fake_block_device::access>{{operation::write, 1012, 500}, {operation::write, 4096, 1500}});
    CHECK(image.stream(500, 2000) == data);
    CHECK(gaps_untouched(image));
    CHECK(image.storage->bytes_written() == 2000);
}

TEST_CASE("the medium is read past what was written and not flushed") {
    test_image const image(test_image::awkward());
    auto const before = image.stream(0, 5000);
    auto const data = pattern(5000, 9);
    REQUIRE(image.storage->write(0, data));
    bytes buffer(5000);
    REQUIRE(image.storage->read_medium(0, buffer));
    CHECK(buffer == before);
    REQUIRE(image.storage->flush());
    REQUIRE(image.storage->read_medium(0, buffer));
    CHECK(buffer == data);
    CHECK(image.device->unflushed_bytes() == 0);
}

TEST_CASE("padding is zeros, on the medium too, and is never touched") {
    test_image const image(test_image::with_padding(torrent_kind::v2));
    bytes buffer(block_size, std::byte{1});
    REQUIRE(image.storage->read_medium(20 * kib, buffer));
    CHECK(buffer == bytes(block_size));
    REQUIRE(image.storage->write(20 * kib, pattern(block_size, 3)));
    CHECK(image.device->accesses().empty());
    CHECK(image.storage->bytes_read() == 0);
    CHECK(image.storage->bytes_written() == 0);
}

TEST_CASE("an error names its place on the device, and what lies behind it is not touched") {
    test_image const image(test_image::awkward());
    image.device->fail(operation::read, EIO, 4096, 1);
    bytes buffer(60 * kib);
    auto const read = image.storage->read(0, buffer);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == EIO);
    CHECK(read.error().offset == 4096);
    CHECK(read.error().length == 40 * kib);
    CHECK(image.device->accesses().size() == 2);
    CHECK_FALSE(image.storage->first_error()); // whoever asked reports it
}

TEST_CASE("a failed write fails the image: later writes and flushes end with that error, reads go on") {
    test_image const image(test_image::awkward());
    std::vector<io_error> reported;
    image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    image.device->fail(operation::write, ENOSPC, 512, 1, 1);
    CHECK_FALSE(image.storage->write(0, pattern(100, 1)));
    auto const write = image.storage->write(2000, pattern(100, 1));
    REQUIRE_FALSE(write);
    CHECK(write.error().code == ENOSPC);
    CHECK(write.error().offset == 512);
    auto const flush = image.storage->flush();
    REQUIRE_FALSE(flush);
    CHECK(flush.error().code == ENOSPC);
    CHECK(image.device->accesses(operation::flush).empty());
    bytes buffer(100);
    CHECK(image.storage->read(0, buffer));
    CHECK(reported.size() == 1);
    CHECK(image.storage->bytes_written() == 0);
}

TEST_CASE("a failed flush fails the image for good") {
    test_image const image(test_image::awkward());
    std::vector<io_error> reported;
    image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    REQUIRE(image.storage->write(0, pattern(100, 1)));
    image.device->fail(operation::flush, EIO, 0, 0, 1);
    for (int i = 0; i < 2; ++i) {
        auto const flush = image.storage->flush();
        REQUIRE_FALSE(flush);
        CHECK(flush.error().code == EIO);
    }
    CHECK(image.storage->write(0, pattern(100, 2)).error().code == EIO);
    CHECK(image.device->accesses(operation::flush).size() == 1);
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].operation == io_operation::flush);
    CHECK(image.storage->first_error()->operation == io_operation::flush);
}

TEST_CASE("the first error of an image is the one that is kept") {
    test_image const image(test_image::awkward());
    int calls = 0;
    image.storage->set_error_handler([&calls](io_error const&) { ++calls; });
    image.storage->report({io_operation::read, "fake", 1, 2, EIO});
    image.storage->report({io_operation::hash, "fake", 3, 4, ENOMEM});
    CHECK(calls == 1);
    CHECK(image.storage->first_error()->offset == 1);
    CHECK(image.storage->write(0, pattern(100, 1))); // a read that failed stops no write
}
