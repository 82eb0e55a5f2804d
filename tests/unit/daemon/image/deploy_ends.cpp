// A deployment writes the ends of its image last: if it is interrupted before that, a system recognises nothing on the
// device.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <catch2/catch.hpp>

#include "core/backend/served_image.hpp"
#include "image_fixture.hpp"
#include "support/device_bytes.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using test::fake_block_device;
using test::image_fixture;
using operation = fake_block_device::operation;

namespace {

using pieces = std::vector<bool>;
using enum image_state;

constexpr std::int64_t first_end = 8'192;
constexpr std::int64_t last_end_begin = 61'440;
constexpr std::int64_t image_end = image_fixture::last_byte + 1;

/// A deployment whose first piece and last piece are in the ends, the middle one is not.
struct ends_deployment : image_fixture {
    ends_deployment()
        : image_fixture(image_mode::deploy) {
        ends = {first_end, 4'096};
        test::put_bytes(wanted.device, 0, test::pattern(device_size, 9)); // what it held before
    }
    /// Begins a deployment to a device that holds some pieces.
    void begin(pieces const& present) {
        for (int piece = 0; piece < piece_count; ++piece) {
            if (present[static_cast<std::size_t>(piece)]) {
                put_piece(piece);
            }
        }
        before = test::all_bytes(wanted.device);
        device = &use_fake_device();
        start();
        run_until_joined();
        CHECK(swarm.spec.pieces == present);
    }
    void begin_download(pieces const& present) {
        begin(present);
        swarm.progress.current = torrent_progress::phase::downloading;
        swarm.pieces = present;
        swarm.listener().on_checked();
        run_until(downloading);
    }
    /// The engine writes a piece, and the swarm has it.
    void write_piece(int piece) {
        take_block(piece);
        std::atomic<bool> written{false}; // set by a disk thread
        shared->find_image(job->info_hash().value())->io().when_written([&written] { written = true; });
        run_until([&written] { return written.load(); });
        swarm.pieces[static_cast<std::size_t>(piece)] = true;
    }
    void complete() {
        swarm.progress.current = torrent_progress::phase::complete;
        swarm.listener().on_complete();
    }
    /// Whether the medium holds no byte of the ends.
    [[nodiscard]] bool medium_is_empty() const {
        auto const head = device->medium(0, first_end);
        auto const tail = device->medium(last_end_begin, image_end - last_end_begin);
        auto const is_zero = [](std::byte each) { return each == std::byte{}; };
        return std::ranges::all_of(head, is_zero) && std::ranges::all_of(tail, is_zero);
    }
    /// The device as it was before, with the image on it.
    [[nodiscard]] std::vector<std::byte> expected() const {
        auto all = before;
        std::ranges::copy(std::span(content).first(20'000), all.begin());
        std::ranges::copy(std::span(content).subspan(20'000), all.begin() + 40'960);
        return all;
    }
    void expect_done() {
        run_until(seeding);
        CHECK((device->medium(0, device_size) == expected()));
    }

    std::vector<std::byte> before;
    fake_block_device* device = nullptr;
};

} // namespace

TEST_CASE("the old ends are erased before the first write, and the new ones are written when all else is durable") {
    ends_deployment image;
    image.wanted.verify = GENERATE(true, false);
    image.begin_download({false, false, false});
    CHECK(image.device->accesses(operation::write).empty()); // without a source, nothing is lost
    image.write_piece(2);
    CHECK(image.medium_is_empty());
    image.write_piece(0);
    image.write_piece(1);
    REQUIRE(image.device->flush());
    CHECK(image.medium_is_empty());
    auto held = image.device->hold(operation::write);
    image.complete();
    held.wait_until_waiting();
    CHECK(image.state() == flushing);
    CHECK(image.medium_is_empty());
    held.release();
    image.expect_done();
    CHECK(image.job->status().verified == image.wanted.verify);
    image.run_until([&] { return image.saved() && image.saved()->complete(); });
    image.close();
}

TEST_CASE("a device that holds the image already is not written to") {
    ends_deployment image;
    image.begin({true, true, true});
    image.complete();
    image.expect_done();
    CHECK(image.job->status().verified);
    CHECK(image.device->accesses(operation::write).empty());
    image.close();
}

TEST_CASE("pieces of the ends that are on the device are kept, and not downloaded again") {
    ends_deployment image;
    image.begin_download({true, false, true});
    image.write_piece(1);
    CHECK(image.medium_is_empty());
    std::vector<std::byte> first(image_fixture::piece_length);
    REQUIRE(image.shared->find_image(image.swarm.key)->writable_device().read(0, first)); // as for a peer
    CHECK(std::ranges::equal(first, std::span(image.content).first(first.size())));
    image.complete();
    image.expect_done();
    image.close();
}

TEST_CASE("a piece of the ends that can be checked but not read again is downloaded") {
    ends_deployment image;
    for (auto const piece : {0, 1, 2}) {
        image.put_piece(piece);
    }
    std::byte const other = ~image.content[17'000]; // in the second piece
    test::put_bytes(image.device_path(), 17'000, std::span(&other, 1));
    image.before = test::all_bytes(image.device_path());
    image.device = &image.use_fake_device();
    image.device->fail(operation::read, EIO, last_end_begin, 1);
    image.start();
    image.run_until_joined();
    CHECK(image.swarm.spec.pieces == pieces{true, false, false});
    image.close();
}

TEST_CASE("a checkpoint lists no piece of the ends before they are on the device") {
    ends_deployment image;
    image.in_force.resume.interval = 1ms;
    image.begin_download({false, false, false});
    image.write_piece(0);
    image.write_piece(1);
    image.run_until([&] { return image.saved().has_value(); });
    CHECK(image.saved()->pieces == pieces{false, true, false});
    image.write_piece(2);
    SECTION("stopped while downloading") {
        auto const asked = image.swarm.count("pieces");
        image.run_until([&] { return image.swarm.count("pieces") > asked + 2; });
        image.close();
        CHECK(image.saved()->pieces == pieces{false, true, false});
        CHECK(image.saved()->at_rest);
    }
    SECTION("stopped before the ends are written") {
        auto held = image.device->hold(operation::flush);
        image.complete();
        held.wait_until_waiting();
        bool closed = false;
        image.job->close([&] { closed = true; });
        CHECK(image.medium_is_empty());
        held.release();
        image.run_until([&] { return closed; });
        // The ends may have been written between the release and the last checkpoint.
        auto const saved = image.saved()->pieces;
        CHECK((saved == pieces{false, true, false} || saved == pieces{true, true, true}));
    }
    SECTION("the ends cannot be written") {
        image.device->fail(operation::write, EIO, 0, first_end);
        image.complete();
        image.run_until(failed);
        image.close();
        CHECK(image.saved()->pieces == pieces{false, true, false});
    }
    SECTION("stopped after that") {
        auto held = image.device->hold(operation::read_medium);
        image.device->clear_accesses();
        image.complete();
        image.run_until(verifying);
        image.run_until(
            [&] { return !image.device->accesses(operation::read_medium).empty(); }); // this thread begins it
        held.wait_until_waiting();
        bool closed = false;
        image.job->close([&] { closed = true; });
        held.release();
        image.run_until([&] { return closed; });
        CHECK(image.saved()->complete());
    }
}

TEST_CASE("the pieces of the ends are not read back before they are on the device") {
    ends_deployment image;
    image.wanted.profile = storage_class::sata_ssd;
    image.read_back_interval = 1ms;
    image.begin_download({false, false, false});
    image.device->clear_accesses();
    image.write_piece(0);
    image.write_piece(2);
    auto const asked = image.swarm.count("pieces");
    image.run_until([&] { return image.swarm.count("pieces") > asked + 5; });
    CHECK(image.device->accesses(operation::read_medium).empty());
    image.write_piece(1);
    image.run_until([&] { return !image.device->accesses(operation::read_medium).empty(); });
    image.complete();
    image.expect_done();
    CHECK(image.logged("verifying: 16 KiB were read back during the download, reading back the other 28 KiB"));
    CHECK(image.job->status().verified);
    image.close();
}

TEST_CASE("a deployment whose ends cannot be written fails, and the device shows nothing") {
    ends_deployment image;
    image.wanted.verify = GENERATE(true, false);
    image.begin_download({false, false, false});
    for (auto const piece : {0, 1, 2}) {
        image.write_piece(piece);
    }
    image.device->fail(operation::write, EIO, 512, 1);
    image.complete();
    image.run_until(failed);
    CHECK(image.job->status().failed_at == failure_kind::write);
    CHECK_FALSE(image.job->status().durable);
    // A checkpoint that was due may claim what is between the ends.
    CHECK((!image.saved() || image.saved()->pieces == pieces{false, true, false}));
    CHECK_FALSE(image.logged("done:"));
    image.device->crash();
    CHECK(image.medium_is_empty());
    image.run_until([&] { return !image.swarm.has_torrent(); });
    image.close();
}

TEST_CASE("a deployment whose old ends cannot be erased fails, and writes nothing else") {
    ends_deployment image;
    image.begin_download({false, false, false});
    image.device->fail(operation::write, EIO, 0, 1);
    image.take_block(1);
    image.run_until(failed);
    CHECK(image.job->status().failed_at == failure_kind::write);
    CHECK((image.device->contents(0, image_fixture::device_size) == image.before));
    image.run_until([&] { return !image.swarm.has_torrent(); });
    image.close();
}

TEST_CASE("an image is closed while its ends are taken into memory") {
    ends_deployment image;
    image.device = &image.use_fake_device();
    auto held = image.device->hold(operation::read);
    image.start();
    image.run_until([&] { return !image.device->accesses(operation::read).empty(); });
    bool closed = false;
    image.job->close([&] { closed = true; });
    held.release();
    image.run_until([&] { return closed; });
    CHECK(image.swarm.calls.empty());
    CHECK(image.device_is_free());
}
