#include "core/backend/image_device.hpp"

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
    CHECK(storage.stream_offset(piece_index{0}, 0) == torrent_offset{});
    CHECK(storage.stream_offset(piece_index{2}, 5) == torrent_offset{128 * kib + 5});
    CHECK(storage.piece_size(piece_index{0}) == 64 * kib);
    CHECK(storage.piece_size(piece_index{image.pieces() - 1}) == total - 192 * kib);
    CHECK(storage.piece_size(piece_index{image.pieces()}) == 0);
    CHECK(&storage.device() == image.device);
}

TEST_CASE("offsets of the stream beyond 32 bits") {
    image_plan plan;
    plan.extents = {{0, 512}};
    test_image const image(plan);
    CHECK(image.storage->stream_offset(piece_index{1 << 20}, 1) == torrent_offset{(std::int64_t{1} << 36) + 1});
}

TEST_CASE("the place on the device of bytes of the stream") {
    test_image const image(test_image::awkward());
    CHECK(image.storage->on_device({}) == device_offset{512});
    CHECK(image.storage->on_device(torrent_offset{999}) == device_offset{1511});
    CHECK(image.storage->on_device(torrent_offset{1000}) == device_offset{4096});
    test_image const padded(test_image::with_padding(torrent_kind::v2));
    CHECK(padded.storage->on_device(torrent_offset{64 * kib}) == device_offset{16 * kib});
}

TEST_CASE("read_medium() does not see data that has not been flushed") {
    test_image const image(test_image::awkward());
    auto const before = image.stream({}, 5000);
    auto const data = pattern(5000, 9);
    image.put({}, data);
    bytes buffer(5000);
    REQUIRE(image.storage->read_medium({}, buffer));
    CHECK(buffer == before);
    REQUIRE(image.storage->flush());
    REQUIRE(image.storage->read_medium({}, buffer));
    CHECK(buffer == data);
    CHECK(image.device->unflushed_bytes() == 0);
}

TEST_CASE("padding is zeros on the medium, and is never touched") {
    test_image const image(test_image::with_padding(torrent_kind::v2));
    bytes buffer(block_size, std::byte{1});
    REQUIRE(image.storage->read_medium(torrent_offset{20 * kib}, buffer));
    CHECK(buffer == bytes(block_size));
    CHECK(image.device->accesses().empty());
    CHECK(image.storage->bytes_read() == 0);
}

TEST_CASE("an error names its place on the device, and nothing after it is read") {
    test_image const image(test_image::awkward());
    image.device->fail(operation::read_medium, EIO, 4096, 1);
    bytes buffer(60 * kib);
    auto const read = image.storage->read_medium({}, buffer);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == EIO);
    CHECK(read.error().offset == 4096);
    CHECK(read.error().length == 40 * kib);
    CHECK(image.device->accesses().size() == 2);
    CHECK_FALSE(image.storage->first_error()); // the caller reports it
}

TEST_CASE("a failed write fails the image: later flushes fail with that error and are not attempted") {
    test_image const image(test_image::awkward());
    std::vector<io_error> reported;
    image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    CHECK_FALSE(image.storage->write_failure());
    image.storage->fail_writes({io_operation::write, "fake", 512, 1, ENOSPC});
    image.storage->fail_writes({io_operation::write, "fake", 9999, 1, EIO});
    REQUIRE(image.storage->write_failure());
    CHECK(image.storage->write_failure()->offset == 512);
    auto const flush = image.storage->flush();
    REQUIRE_FALSE(flush);
    CHECK(flush.error().code == ENOSPC);
    CHECK(image.device->accesses(operation::flush).empty());
    CHECK(reported.size() == 1);
}

TEST_CASE("a failed flush fails the image for good") {
    test_image const image(test_image::awkward());
    std::vector<io_error> reported;
    image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    image.put({}, pattern(100, 1));
    image.device->fail(operation::flush, EIO, 0, 0, 1);
    for (int i = 0; i < 2; ++i) {
        auto const flush = image.storage->flush();
        REQUIRE_FALSE(flush);
        CHECK(flush.error().code == EIO);
    }
    CHECK(image.storage->write_failure()->code == EIO);
    CHECK(image.device->accesses(operation::flush).size() == 1);
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].operation == io_operation::flush);
    CHECK(image.storage->first_error()->operation == io_operation::flush);
}

TEST_CASE("the first error of an image is kept") {
    test_image const image(test_image::awkward());
    int calls = 0;
    image.storage->set_error_handler([&calls](io_error const&) { ++calls; });
    image.storage->report({io_operation::read, "fake", 1, 2, EIO});
    image.storage->report({io_operation::hash, "fake", 3, 4, ENOMEM});
    CHECK(calls == 1);
    CHECK(image.storage->first_error()->offset == 1);
    CHECK_FALSE(image.storage->write_failure()); // a failed read does not stop a write
}
