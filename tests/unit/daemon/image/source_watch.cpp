// The source of a seed is watched while it is served: one that changes is no longer served.

#include <chrono>
#include <filesystem>

#include <catch2/catch.hpp>

#include "image_fixture.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using test::image_fixture;

namespace {

struct watched_image : image_fixture {
    watched_image()
        : image_fixture(image_mode::seed) {
        source_interval = 2ms;
    }

    void expect_failed(std::string const& why) {
        run_until(image_state::failed);
        CHECK(job->status().failed_at == failure_kind::content);
        CHECK(job->status().failure.find(why) != std::string::npos);
        close();
    }
};

} // namespace

TEST_CASE("a source that changes is no longer served") {
    watched_image image;
    image.start();
    image.run_until(image_state::seeding);
    std::filesystem::path const file = image.device_path();
    SECTION("removed") {
        std::filesystem::remove(file);
        image.expect_failed("the source is gone: " + file.string());
    }
    SECTION("longer") {
        std::filesystem::resize_file(file, image_fixture::device_size + 1);
        image.expect_failed("the source has changed: its size was 81920 bytes and is 81921; seeding stopped");
    }
    SECTION("another file in its place") {
        std::filesystem::copy_file(file, image.folder / "other");
        std::filesystem::rename(image.folder / "other", file);
        image.expect_failed("the source has changed: it is another file; seeding stopped");
    }
    SECTION("written to") {
        image.touch_device();
        image.expect_failed(file.string() + ": the source has changed; seeding stopped");
    }
}

TEST_CASE("a source that changes while all of it is checked is not served") {
    watched_image image;
    image.wanted.verify_source = source_check::full;
    auto& device = image.use_fake_device();
    auto held = device.hold(test::fake_block_device::operation::read_medium);
    image.start();
    image.run_until(image_state::verifying);
    image.touch_device();
    image.run_until(image_state::failed);
    held.release();
    image.expect_failed("the source has changed");
    CHECK(image.swarm.calls.empty());
}

TEST_CASE("allow_mounted: a source that is written to is still served and watched, with one warning") {
    watched_image image;
    image.wanted.allow_mounted = true;
    image.start();
    image.run_until(image_state::seeding);
    image.touch_device();
    auto const warning = image.device_path() + ": the source has changed (allow_mounted = true)";
    image.run_until([&] { return image.logged(warning); });
    image.touch_device();
    CHECK(image.state() == image_state::seeding);
    std::filesystem::remove(image.device_path());
    image.expect_failed("the source is gone");
    CHECK(image.count_lines(warning) == 1);
}

TEST_CASE("a target is not watched: it changes because it is written") {
    image_fixture image(image_mode::deploy);
    image.source_interval = 0ms;
    image.deploy();
    image.touch_device();
    image.run_ready();
    image.run_ready();
    CHECK(image.state() == image_state::seeding);
    image.close();
}
