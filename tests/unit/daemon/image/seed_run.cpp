// Seeding: served data matches the torrent.

#include <cerrno>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/image/piece_errors.hpp"
#include "image_fixture.hpp"

using namespace seedbed;
using test::fake_block_device;
using test::image_fixture;
using operation = fake_block_device::operation;

namespace {

using states = std::vector<image_state>;
using enum image_state;

torrent_progress sent(std::int64_t bytes, int peers) {
    torrent_progress progress;
    progress.current = torrent_progress::phase::complete;
    progress.fraction = 1;
    progress.uploaded = bytes;
    progress.peers = peers;
    return progress;
}

} // namespace

TEST_CASE("verify = lazy: the source is served at once, and each piece is hashed first") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    CHECK(image.states == states{opening, seeding});
    CHECK(image.swarm.spec.hash_before_serving);
    CHECK(image.swarm.spec.mode == image_mode::seed);
    CHECK(image.swarm.spec.name == "sda1");
    image.close();
    CHECK(image.device_is_free());
    CHECK(image.reports.sent.empty());
}

TEST_CASE("verify = lazy: a piece that does not match the torrent ends the seeding") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    auto const served = image.shared->find_image(backend::key_of(*image.swarm.spec.torrent));
    REQUIRE(served);
    CHECK(served->verifies_before_reads());
    served->report(make_io_error(io_operation::hash, image.wanted.device, device_offset{0}, 1, piece_differs));
    image.run_until(failed);
    CHECK(image.job->status().failure == image.wanted.device + ": does not match the torrent; seeding stopped");
    CHECK(image.job->status().failed_at == failure_kind::content);
}

TEST_CASE("verify = none: the source is served without a check") {
    image_fixture image(image_mode::seed);
    image.wanted.verify_source = source_check::none;
    image.damage_last_piece();
    image.start();
    image.run_until(seeding);
    CHECK_FALSE(image.swarm.spec.hash_before_serving);
    CHECK(image.swarm.spec.pieces == std::vector<bool>(image_fixture::piece_count, true));
    image.close();
}

TEST_CASE("verify = full: the source is read before the swarm is joined") {
    image_fixture image(image_mode::seed);
    image.wanted.verify_source = source_check::full;
    auto& device = image.use_fake_device();
    auto held = device.hold(operation::read_medium);
    image.start();
    image.run_until(verifying);
    held.wait_until_waiting();
    CHECK(image.line() == "sda1: verifying 0%");
    CHECK(image.swarm.calls.empty());
    SECTION("it matches the torrent") {
        held.release();
        image.run_until(seeding);
        CHECK(image.states == states{opening, verifying, seeding});
        CHECK(image.logged("verified 44 KiB in "));
        CHECK(image.swarm.spec.pieces == std::vector<bool>(image_fixture::piece_count, true));
        CHECK_FALSE(image.swarm.spec.hash_before_serving);
        image.close();
    }
    SECTION("it differs") {
        std::byte const other = ~image.content.back();
        device.set_medium(image_fixture::last_byte, std::span(&other, 1));
        held.release();
        image.run_until(failed);
        CHECK(image.job->status().failed_at == failure_kind::content);
        CHECK(image.job->status().failure == image.device_path() +
                                                 ": does not match the torrent: 1 of 3 pieces differ, the "
                                                 "first one at offset 53728, length 12232");
        CHECK(image.swarm.calls.empty());
        image.close();
    }
    SECTION("it cannot be read") {
        device.fail(operation::read_medium, EIO);
        held.release();
        image.run_until(failed);
        CHECK(image.job->status().failed_at == failure_kind::read);
        CHECK(image.swarm.calls.empty());
        image.close();
    }
    SECTION("it is closed during the check") {
        bool closed = false;
        image.job->close([&] { closed = true; });
        held.release();
        image.run_until([&] { return closed; });
        CHECK(image.states == states{opening, verifying, closing, image_state::closed});
        CHECK(image.swarm.calls.empty());
    }
    CHECK(image.device_is_free());
}

TEST_CASE("a source in which a served piece differs is no longer served") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    image.swarm.listener().on_content_differs();
    CHECK(image.state() == failed);
    CHECK(image.job->status().failed_at == failure_kind::content);
    CHECK(image.swarm.count("remove") == 1);
    image.close();
    CHECK(image.reports.sent.empty());
}

TEST_CASE("a source that cannot be read fails its image, not the others") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    io_error lost;
    lost.operation = io_operation::read;
    lost.device = image.device_path();
    lost.offset = 4096;
    lost.length = 512;
    lost.code = EIO;
    image.shared->find_image(image.swarm.key)->report(lost);
    image.run_until(failed);
    CHECK(image.job->status().failed_at == failure_kind::read);
    CHECK(image.job->status().failure == lost.message());
    image.close();
}

TEST_CASE("super-seeding ends when the image was sent once, and begins again for new peers") {
    image_fixture image(image_mode::seed);
    image.wanted.super_seeding = true;
    image.start();
    image.run_until(seeding);
    CHECK(image.swarm.spec.super_seeding);
    auto constexpr total = image_fixture::total;
    image.swarm.tell(sent(0, 1));
    image.swarm.tell(sent(total - 1, 2));
    CHECK(image.swarm.spec.super_seeding);
    image.swarm.tell(sent(total, 2));
    CHECK_FALSE(image.swarm.spec.super_seeding);
    image.swarm.tell(sent(total + 5, 0)); // new peers have nothing
    CHECK(image.swarm.spec.super_seeding);
    image.swarm.tell(sent(2 * total + 4, 1));
    CHECK(image.swarm.spec.super_seeding);
    image.swarm.tell(sent(2 * total + 5, 1));
    CHECK_FALSE(image.swarm.spec.super_seeding);
    CHECK(image.swarm.count("super on") == 1);
    CHECK(image.swarm.count("super off") == 2);
    image.close();
}

TEST_CASE("a reload switches super-seeding on and off") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    CHECK_FALSE(image.swarm.spec.super_seeding);
    auto changed = image.wanted;
    changed.super_seeding = true;
    image.job->update(changed);
    CHECK(image.swarm.count("super on") == 1);
    changed.super_seeding = false;
    image.job->update(changed);
    CHECK(image.swarm.count("super off") == 1);
    image.close();
}
