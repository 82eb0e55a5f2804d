// A deployment to a device without a head reads back what is durable while it downloads the rest.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/storage_class.hpp"
#include "image_fixture.hpp"

using namespace seedbed;
using test::fake_block_device;
using test::image_fixture;
using operation = fake_block_device::operation;

namespace {

using pieces = std::vector<bool>;
using enum image_state;

std::ptrdiff_t reads_of(fake_block_device const& device) {
    return std::ranges::count(device.accesses(), operation::read_medium, &fake_block_device::access::op);
}

std::int64_t bytes_read_from(fake_block_device const& device) {
    std::int64_t bytes = 0;
    for (auto const& each : device.accesses()) {
        bytes += each.op == operation::read_medium ? each.length : 0;
    }
    return bytes;
}

/// A deployment that has downloaded its first piece.
struct half_downloaded : image_fixture {
    explicit half_downloaded(storage_class of = storage_class::sata_ssd)
        : image_fixture(image_mode::deploy)
        , device(use_fake_device()) {
        wanted.profile = of;
        read_back_interval = std::chrono::milliseconds(1);
    }

    void download_first() {
        start_download();
        device.clear_accesses(); // of the check
        put_piece(0);
        swarm.pieces = {true, false, false};
    }
    /// Waits until the swarm was asked for its pieces \p times more.
    void await_requests(int times) {
        auto const before = swarm.count("pieces");
        run_until([&] { return swarm.count("pieces") >= before + times; });
    }

    fake_block_device& device;
};

} // namespace

TEST_CASE("a piece that is read back during the download is not read again") {
    half_downloaded image;
    image.download_first();
    image.run_until([&] { return reads_of(image.device) > 0; });
    CHECK(image.state() == downloading);
    auto const accesses = image.device.accesses();
    auto const flushed = std::ranges::find(accesses, operation::flush, &fake_block_device::access::op);
    auto const read = std::ranges::find(accesses, operation::read_medium, &fake_block_device::access::op);
    CHECK(flushed < read);
    CHECK(read->offset == accesses.front().offset);

    // Nothing is read twice while nothing new arrives.
    auto const reads = reads_of(image.device);
    image.await_requests(5);
    CHECK(reads_of(image.device) == reads);

    image.device.clear_accesses();
    image.complete_download();
    image.run_until(seeding);
    CHECK(image.logged("verifying: 16 KiB were read back during the download, reading back the other 28 KiB"));
    CHECK(image.logged("verified 28 KiB in "));
    CHECK(image.job->status().verified);
    CHECK(bytes_read_from(image.device) == image_fixture::total - image_fixture::piece_length);
    image.close();
}

TEST_CASE("a piece is not read back before its writes have ended") {
    half_downloaded image;
    image.start_download();
    image.device.clear_accesses();
    auto held = image.device.hold(operation::write);
    image.take_block(0);
    image.swarm.pieces = {true, false, false};
    image.await_requests(50);
    held.wait_until_waiting();
    CHECK(reads_of(image.device) == 0);
    held.release();
    image.run_until([&] { return reads_of(image.device) > 0; });
    image.complete_download();
    image.run_until(seeding);
    CHECK(image.logged("verifying: 16 KiB were read back during the download"));
    image.close();
}

TEST_CASE("the whole image can be read back before the download is known to be complete") {
    half_downloaded image;
    image.start_download();
    image.device.clear_accesses();
    for (int piece = 0; piece < image_fixture::piece_count; ++piece) {
        image.put_piece(piece);
    }
    image.swarm.pieces = pieces(image_fixture::piece_count, true);
    image.run_until([&] { return reads_of(image.device) >= image_fixture::piece_count; });
    image.await_requests(2);
    auto const reads = reads_of(image.device);
    image.complete_download();
    image.run_until(seeding);
    CHECK(reads_of(image.device) == reads);
    CHECK(image.job->status().verified);
    image.close();
}

TEST_CASE("nothing is read back during the download from a disk with a head, or without verify") {
    half_downloaded image(GENERATE(storage_class::hdd, storage_class::sata_ssd));
    image.wanted.verify = image.wanted.profile == storage_class::hdd;
    image.download_first();
    for (int i = 0; i < 100; ++i) {
        image.run_ready();
    }
    CHECK(reads_of(image.device) == 0);
    image.complete_download();
    image.run_until(seeding);
    CHECK(image.job->status().verified == image.wanted.verify);
    CHECK((reads_of(image.device) > 0) == image.wanted.verify);
    image.close();
}

TEST_CASE("the end of a download waits for the pieces that are being read back") {
    half_downloaded image;
    image.download_first();
    auto held = image.device.hold(operation::read_medium);
    image.run_until([&] { return reads_of(image.device) > 0; });
    image.complete_download();
    image.run_until(verifying);
    image.run_ready();
    CHECK_FALSE(image.logged("verifying: "));
    held.release();
    image.run_until(seeding);
    CHECK(image.logged("verifying: 16 KiB were read back during the download"));
    image.close();
}

TEST_CASE("a piece that differs during the download is judged after it") {
    half_downloaded image;
    image.download_first();
    auto held = image.device.hold(operation::read_medium);
    image.run_until([&] { return reads_of(image.device) > 0; });
    std::byte const other = ~image.content.front();
    auto const first = image.device.accesses().front().offset;
    image.device.set_medium(first, std::span(&other, 1));
    held.release();
    image.run_until([&] { return image.logged("piece 0 differs on the device; reading it again after the download"); });
    CHECK(image.state() == downloading);
    SECTION("it is right by then") {
        image.complete_download(); // writes it again
        image.run_until(seeding);
        CHECK(image.logged("verifying: reading everything back from the device"));
        CHECK(image.job->status().verified);
    }
    SECTION("it still differs") {
        auto again = image.device.hold(operation::read_medium);
        image.complete_download();
        image.run_until(verifying);
        image.device.set_medium(first, std::span(&other, 1));
        again.release();
        image.run_until(failed);
        CHECK(image.logged("not verified: 1 of 3 pieces differ on the device"));
        CHECK_FALSE(image.job->status().verified);
    }
    image.close();
}

TEST_CASE("a read that fails during the download is judged after it") {
    half_downloaded image;
    image.device.fail(operation::read_medium, EIO);
    image.download_first();
    image.run_until([&] { return image.logged("; reading it again after the download"); });
    CHECK(image.state() == downloading);
    image.complete_download();
    image.run_until(failed);
    CHECK(image.job->status().failed_at == failure_kind::verify);
    image.close();
}

TEST_CASE("a flush that fails during the download fails the image") {
    half_downloaded image;
    image.device.fail(operation::flush, EIO);
    image.download_first();
    image.run_until(failed);
    CHECK_FALSE(image.job->status().durable);
    CHECK(reads_of(image.device) == 0);
    image.close();
}

TEST_CASE("an image is closed while its pieces are read back during the download") {
    half_downloaded image;
    image.download_first();
    auto held = image.device.hold(operation::read_medium);
    image.run_until([&] { return reads_of(image.device) > 0; });
    auto closed = false;
    image.job->close([&] { closed = true; });
    held.release();
    image.run_until([&] { return closed; });
    CHECK(image.device_is_free());
}

TEST_CASE("another check forgets the pieces that were read back") {
    half_downloaded image;
    image.download_first();
    image.run_until([&] { return reads_of(image.device) > 0; });
    image.await_requests(2);
    auto held = image.device.hold(operation::read_medium);
    image.complete_download();
    image.run_until(verifying);
    image.swarm.listener().on_content_differs();
    held.release();
    image.run_until(checking);
    image.run_until([&] { return image.swarm.count("add") == 2; });
    image.swarm.progress.current = torrent_progress::phase::downloading;
    image.swarm.progress.bytes_left = image_fixture::total;
    image.swarm.pieces.assign(image_fixture::piece_count, false);
    image.swarm.listener().on_checked();
    image.run_until(downloading);
    image.device.clear_accesses();
    image.complete_download();
    image.run_until(seeding);
    // Not a sum of bytes: a read of the cancelled verification, which holds other pieces, may end this late.
    auto const first_piece = fake_block_device::access{operation::read_medium, 0, image_fixture::piece_length};
    CHECK(std::ranges::count(image.device.accesses(), first_piece) == 1);
    CHECK(image.last_line("verifying: ").ends_with("verifying: reading everything back from the device"));
    image.close();
}
