// Checkpoints of a deployment: when they are saved and removed, and how the next start uses them.

#include <cerrno>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "image_fixture.hpp"
#include "support/device_bytes.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using test::fake_block_device;
using test::image_fixture;
using operation = fake_block_device::operation;

namespace {

using enum image_state;
using pieces = std::vector<bool>;

/// A deployment that has its second piece and was stopped normally.
void leave_partial(image_fixture& image) {
    image.start_download();
    image.put_piece(1);
    image.swarm.pieces = {false, true, false};
    image.restart();
    REQUIRE(image.saved());
}

/// A completed deployment.
void leave_complete(image_fixture& image) {
    image.deploy();
    image.restart();
    REQUIRE(image.saved());
    CHECK(image.saved()->complete());
}

/// The saved checkpoint with a change.
template <class Change>
void change_saved(image_fixture& image, Change change) {
    auto found = image.saved();
    REQUIRE(found);
    change(*found);
    image.store.save(*found);
}

} // namespace

TEST_CASE("while downloading, a checkpoint is saved at each interval, after a flush") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.in_force.resume.interval = 2ms;
    image.start_download();
    image.put_piece(2);
    image.swarm.pieces = {false, false, true};
    image.run_until([&] { return image.saved().has_value(); });
    CHECK(device.unflushed_bytes() == 0);
    auto const first = *image.saved();
    CHECK(first.pieces == pieces{false, false, true});
    CHECK(first.info_hash == image.job->info_hash());
    CHECK(first.device == image.device_path());
    CHECK_FALSE(first.verified);
    CHECK_FALSE(first.at_rest);
    CHECK(first.time > 1'600'000'000);
    image.put_piece(0);
    image.swarm.pieces = {true, false, true};
    image.run_until([&] { return image.saved()->pieces == pieces{true, false, true}; });
    image.close();
}

TEST_CASE("a slow flush delays the next checkpoint") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.in_force.resume.interval = 1ms;
    image.start_download();
    image.put_piece(0);
    auto held = device.hold(operation::flush);
    image.swarm.pieces = {true, false, false};
    auto const asked = image.swarm.count("pieces");
    image.run_until([&] { return image.swarm.count("pieces") > asked + 5; });
    held.wait_until_waiting();
    CHECK(device.accesses(operation::flush).size() == 1);
    CHECK_FALSE(image.saved());
    held.release();
    image.run_until([&] { return device.accesses(operation::flush).size() > 2; });
    CHECK(image.saved());
    image.close();
}

TEST_CASE("a checkpoint waits for the writes that were taken before it") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.in_force.resume.interval = 1ms;
    image.start_download();
    auto held = device.hold(operation::write);
    image.take_block(1); // the swarm counts the last piece before its writes have ended
    image.swarm.pieces = {false, true, false};
    auto const asked = image.swarm.count("pieces");
    image.run_until([&] { return image.swarm.count("pieces") > asked + 5; });
    held.wait_until_waiting();
    image.run_ready();
    CHECK(device.accesses(operation::flush).empty());
    CHECK_FALSE(image.saved());
    held.release();
    image.run_until([&] { return image.saved().has_value(); });
    CHECK(device.unflushed_bytes() == 0);
    image.close();
}

TEST_CASE("a flush that fails before a checkpoint fails the image, and nothing is saved") {
    image_fixture image(image_mode::deploy);
    auto& device = image.use_fake_device();
    image.in_force.resume.interval = 1ms;
    device.fail(operation::flush, EIO);
    image.start_download();
    image.put_piece(0);
    image.swarm.pieces = {true, false, false};
    image.run_until(failed);
    CHECK(image.job->status().failed_at == failure_kind::flush);
    CHECK_FALSE(image.saved());
    image.close();
}

TEST_CASE("a checkpoint is removed when the device has no piece of the image") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    test::put_bytes(image.device_path(), 0, std::vector<std::byte>(image_fixture::device_size));
    image.wanted.check = target_check::full;
    image.start_download(); // the check finds nothing on the device
    image.run_until([&] { return !image.saved(); });
    CHECK(image.swarm.spec.pieces == pieces(image_fixture::piece_count, false));
    image.close();
}

TEST_CASE("interval = 0: no checkpoint is saved or used, and an old one is removed") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    image.in_force.resume.interval = 0ms;
    image.start_download();
    CHECK(image.swarm.spec.pieces == pieces{false, true, false}); // the check has found it
    image.run_until([&] { return !image.saved(); });
    image.complete_download();
    image.run_until(seeding);
    image.close();
    CHECK_FALSE(image.saved());
}

TEST_CASE("a reload switches checkpoints on and off") {
    image_fixture image(image_mode::deploy);
    image.in_force.resume.interval = 0ms;
    image.start_download();
    image.put_piece(0);
    image.swarm.pieces = {true, false, false};
    CHECK(image.swarm.count("pieces") == 0);
    image.in_force.resume.interval = 1ms;
    image.job->apply_resume();
    image.run_until([&] { return image.saved().has_value(); });
    image.in_force.resume.interval = 0ms;
    image.job->apply_resume();
    image.run_until([&] { return !image.saved(); });
    image.close();
}

TEST_CASE("a deployment continues from a partial checkpoint") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    image.start_download();
    CHECK(image.swarm.spec.pieces == pieces{false, true, false});
    CHECK_FALSE(image.swarm.spec.hash_before_serving);
    CHECK(image.logged("resumed: 16 KiB of 44 KiB present; 28 KiB to download"));
    CHECK(image.job->status().bytes_left == image_fixture::total - image_fixture::piece_length);
    image.complete_download();
    image.run_until(seeding);
    CHECK(image.job->status().verified);
    image.close();
}

TEST_CASE("a checkpoint is marked as in use before the download writes, and as clean at the end") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    CHECK(image.saved()->at_rest);
    image.start();
    image.run_until_joined();
    image.run_until([&] { return !image.saved()->at_rest; });
    CHECK(image.saved()->pieces == pieces{false, true, false});
    image.swarm.pieces = {false, true, false};
    image.swarm.progress.current = torrent_progress::phase::downloading;
    image.swarm.listener().on_checked();
    image.run_until(downloading);
    image.close();
    CHECK(image.saved()->at_rest);
}

TEST_CASE("the pieces of a checkpoint of an unclean end are read before they count") {
    image_fixture image(image_mode::deploy);
    image.wanted.verify = GENERATE(true, false);
    image.start_download();
    image.put_piece(1);
    image.put_piece(2);
    image.swarm.pieces = {false, true, true};
    image.restart();
    change_saved(image, [](checkpoint& what) { what.at_rest = false; });
    SECTION("nothing else has written to the device") {
        auto& device = image.use_fake_device();
        image.start_download();
        CHECK(image.swarm.spec.pieces == pieces{false, true, true});
        std::int64_t read = 0;
        for (auto const& each : device.accesses(operation::read_medium)) {
            read += each.length;
        }
        CHECK(read == image_fixture::total - image_fixture::piece_length); // not the piece that it does not name
        CHECK_FALSE(image.logged("differ"));
    }
    SECTION("another program has written to the device") {
        image.damage_last_piece();
        image.start_download();
        CHECK(image.swarm.spec.pieces == pieces{false, true, false});
        CHECK(image.logged("1 of 2 pieces in the checkpoint differ on the device; downloading them again"));
        CHECK(image.job->status().bytes_left == image_fixture::total - image_fixture::piece_length);
    }
    SECTION("a sector cannot be read until it is written again") {
        auto& device = image.use_fake_device();
        device.fail(operation::read_medium, EIO, image_fixture::last_byte, 1, 1);
        image.start_download();
        CHECK(image.swarm.spec.pieces == pieces{false, true, false});
        CHECK(image.logged("1 of 2 pieces in the checkpoint cannot be read; downloading them again"));
    }
    image.complete_download();
    image.run_until(seeding);
    image.close();
}

TEST_CASE("an image is closed while the pieces of its checkpoint are read") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    change_saved(image, [](checkpoint& what) { what.at_rest = false; });
    auto& device = image.use_fake_device();
    auto held = device.hold(operation::read_medium);
    image.start();
    image.run_until(checking);
    held.wait_until_waiting();
    held.release();
    image.close();
    CHECK_FALSE(image.swarm.has_torrent());
    CHECK(image.saved()->pieces == pieces{false, true, false});
}

TEST_CASE("a checkpoint that does not match is ignored, and the log says why") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    std::string why;
    SECTION("of another torrent") {
        change_saved(image, [](checkpoint& what) { what.info_hash = {}; });
        why = "it belongs to torrent 0000";
    }
    SECTION("the device was written to since") {
        image.touch_device();
        why = "another program has written to the device since";
    }
    SECTION("of another device") {
        change_saved(image, [](checkpoint& what) { ++what.identity.size; });
        why = "it belongs to another device: its size was ";
    }
    SECTION("damaged") {
        std::ofstream(image.store.file_of(image.device_path())) << "{}";
        why = image.store.file_of(image.device_path());
    }
    image.start();
    image.run_until_joined();
    CHECK(image.swarm.spec.pieces == pieces{false, true, false}); // the check has found it
    CHECK(image.logged("ignoring the checkpoint: " + why));
    CHECK(image.logged("checking the data on the device"));
    image.close();
}

TEST_CASE("check = full and check = none do not ask for a checkpoint") {
    image_fixture image(image_mode::deploy);
    leave_partial(image);
    SECTION("full") {
        image.wanted.check = target_check::full;
        image.start();
        image.run_until_joined();
        CHECK(image.swarm.spec.pieces == pieces{false, true, false}); // the check has found it
    }
    SECTION("none") {
        image.wanted.check = target_check::none;
        image.start();
        image.run_until_joined();
        CHECK(image.swarm.spec.pieces == pieces(image_fixture::piece_count, false));
    }
    CHECK_FALSE(image.logged("resumed"));
    image.close();
}

TEST_CASE("a verified deployment on a device that was not written to since is done at once") {
    image_fixture image(image_mode::deploy);
    leave_complete(image);
    CHECK(image.saved()->verified);
    image.start();
    image.run_until(seeding);
    CHECK(image.states == std::vector<image_state>{opening, seeding});
    CHECK(image.swarm.spec.hash_before_serving);
    CHECK(image.job->status().durable);
    CHECK(image.job->status().verified);
    CHECK(image.logged("the device has not been written to since"));
    CHECK(image.reports.sent.empty());
    auto const before = *image.saved();
    image.close();
    CHECK(*image.saved() == before);
}

TEST_CASE("a complete checkpoint is read back if required, and nothing is downloaded") {
    image_fixture image(image_mode::deploy);
    leave_complete(image);
    SECTION("the caller does not trust the checkpoint") {
        image.trust_proof = false;
    }
    SECTION("it was not verified") {
        change_saved(image, [](checkpoint& what) { what.verified = false; });
    }
    SECTION("the device may have been written to since") {
        change_saved(image, [](checkpoint& what) { what.at_rest = false; });
        image.touch_device();
    }
    image.start();
    image.run_until(seeding);
    CHECK(image.states == std::vector<image_state>{opening, flushing, verifying, seeding});
    CHECK(image.swarm.spec.hash_before_serving);
    CHECK(image.logged("resumed: 44 KiB of 44 KiB present; 0 B to download"));
    CHECK(image.job->status().verified);
    CHECK(image.reports.sent.size() == 1);
    image.close();
    CHECK(image.saved()->verified);
}

TEST_CASE("verify = false: a complete checkpoint counts only if certainly nothing was written since") {
    image_fixture image(image_mode::deploy);
    image.wanted.verify = false;
    leave_complete(image);
    SECTION("certainly nothing was written") {
        image.start();
        image.run_until(seeding);
        CHECK(image.states == std::vector<image_state>{opening, seeding});
        CHECK(image.job->status().durable);
        CHECK_FALSE(image.job->status().verified);
    }
    SECTION("something may have been written") {
        change_saved(image, [](checkpoint& what) { what.at_rest = false; });
        image.touch_device();
        image.start();
        image.run_until_joined();
        CHECK(image.swarm.spec.pieces == pieces{true, true, true}); // the check has found them
        CHECK_FALSE(image.swarm.spec.hash_before_serving);
        CHECK(image.logged("the device may have been written to since, and verify = false"));
    }
    image.close();
}

TEST_CASE("a wrong complete checkpoint is detected by reading, and the image is checked and repaired") {
    image_fixture image(image_mode::deploy);
    leave_complete(image);
    image.damage_last_piece();
    bool by_the_swarm = false;
    SECTION("by the verification") {
        image.trust_proof = false;
        image.start();
    }
    SECTION("by the first peer that requests it") {
        by_the_swarm = true;
        image.start();
        image.run_until(seeding);
        image.swarm.listener().on_content_differs();
        CHECK(image.state() == checking);
    }
    image.run_until([&] { return image.swarm.count("add") == 2; });
    CHECK(image.state() == checking);
    CHECK(image.logged(by_the_swarm ? "does not match the checkpoint; checking all of it"
                                    : "1 of 3 pieces differ on the device; checking all of it"));
    CHECK(image.swarm.spec.pieces == pieces{true, true, false});
    CHECK_FALSE(image.swarm.spec.hash_before_serving);
    CHECK_FALSE(image.job->status().durable);
    CHECK_FALSE(image.job->status().verified);
    image.run_until([&] { return !image.saved(); });
    image.swarm.progress.current = torrent_progress::phase::downloading;
    image.swarm.progress.bytes_left = 12'232;
    image.swarm.listener().on_checked();
    image.run_until(downloading);
    CHECK(image.logged("checked 44 KiB in "));
    image.complete_download();
    image.run_until(seeding);
    CHECK(image.job->status().verified);
    image.close();
    CHECK(image.saved()->verified);
}

TEST_CASE("an image that differs again after a second check fails") {
    image_fixture image(image_mode::deploy);
    leave_complete(image);
    image.trust_proof = false;
    image.damage_last_piece();
    image.start();
    image.run_until([&] { return image.swarm.count("add") == 2; });
    image.swarm.listener().on_complete(); // although the device still holds other data
    image.run_until(failed);
    CHECK(image.job->status().failed_at == failure_kind::verify);
    image.run_until([&] { return !image.saved(); });
    image.close();
}

TEST_CASE("closing and failing while the image leaves the swarm for another check") {
    image_fixture image(image_mode::deploy);
    leave_complete(image);
    image.start();
    image.run_until(seeding);
    image.swarm.removes_by_itself = false;
    image.swarm.listener().on_content_differs();
    CHECK(image.state() == checking);
    bool closed = false;
    SECTION("closing") {
        image.job->close([&] { closed = true; });
    }
    SECTION("failing") {
        image.swarm.listener().on_torrent_error("no space");
    }
    SECTION("differing again") {
        image.swarm.listener().on_content_differs();
    }
    auto const state = image.state();
    image.swarm.finish_removal();
    CHECK(image.swarm.count("remove") == 1);
    CHECK_FALSE(image.swarm.has_torrent());
    if (state == checking) {
        image.run_until_joined(); // after the check
    }
    image.swarm.removes_by_itself = true;
    if (state == closing) {
        image.run_until([&] { return closed; });
    } else {
        image.close();
    }
    CHECK(image.device_is_free());
}
