// Opening an image: each obstacle is one clear failure, and the swarm is not involved.

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <string>

#include <catch2/catch.hpp>

#include "image_fixture.hpp"

using namespace seedbed;
using test::image_fixture;

namespace {

void expect_failed(image_fixture& image, failure_kind kind) {
    image.start();
    image.run_until(image_state::failed);
    auto const status = image.job->status();
    CHECK(status.failed_at == kind);
    CHECK(image.swarm.calls.empty());
    if (kind == failure_kind::guard) {
        REQUIRE(image.reports.sent.size() == 1);
        CHECK(image.reports.sent[0].report.outcome == host_report::outcome_kind::refused);
        CHECK(image.reports.sent[0].report.reason == status.failure);
        CHECK(image.reports.sent[0].report.facts.device == image.device_path());
        CHECK(image.reports.sent[0].report.facts.cls.has_value() == std::filesystem::exists(image.device_path()));
    } else {
        CHECK(image.reports.sent.empty()); // trackers are known from the torrent
    }
    CHECK(image.logged("sda1: failed: " + status.failure));
    CHECK(image.line() == "sda1: failed: " + status.failure);
    CHECK_FALSE(image.job->is_moving());
    image.close();
}

} // namespace

TEST_CASE("an image whose torrent cannot be read fails") {
    image_fixture image(image_mode::deploy);
    std::ofstream(image.wanted.torrent) << "no torrent";
    expect_failed(image, failure_kind::torrent);
    CHECK_FALSE(image.job->info_hash());
}

TEST_CASE("a torrent larger than memory.max_torrent is refused") {
    image_fixture image(image_mode::deploy);
    image.in_force.memory.max_torrent = 100;
    expect_failed(image, failure_kind::torrent);
}

TEST_CASE("an image whose device a guard refuses fails and names the guard") {
    image_fixture image(image_mode::deploy);
    SECTION("missing") {
        std::filesystem::remove(image.device_path());
        expect_failed(image, failure_kind::guard);
        CHECK(image.job->status().guard == device_guard::missing);
    }
    SECTION("too small") {
        std::filesystem::resize_file(image.device_path(), image_fixture::last_byte);
        expect_failed(image, failure_kind::guard);
        CHECK(image.job->status().guard == device_guard::too_small);
    }
    SECTION("another size than configured") {
        image.wanted.size = image_fixture::device_size + 1;
        expect_failed(image, failure_kind::guard);
        CHECK(image.job->status().guard == device_guard::wrong_identity);
    }
}

TEST_CASE("a second image with the same torrent fails, and the first one is not affected") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(image_state::seeding);
    auto other = image.wanted;
    other.name = "sda2";
    other.device = (image.folder / "other").string();
    std::filesystem::copy_file(image.wanted.device, other.device);
    auto const second = std::make_shared<image_runner>(other, image.services());
    second->start();
    image.run_until([&] { return second->state() == image_state::failed; });
    CHECK(second->status().failed_at == failure_kind::internal);
    CHECK(image.state() == image_state::seeding);
    bool closed = false;
    second->close([&] { closed = true; });
    image.run_until([&] { return closed; });
    CHECK(image.swarm.calls == std::vector<std::string>{"add"});
    image.close();
}

TEST_CASE("a device that hangs while it is opened is seen, and another image can be opened nevertheless") {
    image_fixture image(image_mode::seed);
    auto services = image.services();
    services.on_change = [] {};
    services.setup.set_threads(1);
    std::promise<void> answer;
    services.open_device = [answered = answer.get_future().share()](auto const& path, auto const& requirements) {
        answered.wait();
        return open_block_device(path, requirements);
    };
    auto hung_image = image.wanted;
    hung_image.name = "hung";
    image_runner hung(hung_image, services);
    auto const before = std::chrono::steady_clock::now();
    hung.start();
    image.run_until([&] { return hung.queue_progress().has_value(); });
    CHECK(hung.queue_progress()->pending == 1);
    CHECK(hung.queue_progress()->stalled_since >= before);
    CHECK_FALSE(hung.hangs_in_opening());

    hung.on_hang();
    hung.on_hang(); // the second call changes nothing
    CHECK(hung.hangs_in_opening());
    image.start();
    image.run_until(image_state::seeding);

    answer.set_value();
    image.run_until([&] { return hung.state() == image_state::failed; }); // two images of one torrent
    CHECK_FALSE(hung.hangs_in_opening());
    CHECK_FALSE(hung.queue_progress());
    bool closed = false;
    hung.close([&] { closed = true; });
    image.run_until([&] { return closed; });
    image.close();
}

TEST_CASE("an opened image describes itself") {
    image_fixture image(image_mode::deploy);
    image.start();
    CHECK(image.state() == image_state::opening);
    CHECK(image.line() == "sda1: opening");
    CHECK(image.job->announced_hashes().empty());
    CHECK_FALSE(image.job->queue_progress());
    image.run_until(image_state::checking);
    CHECK(image.job->queue_progress());
    CHECK(image.job->announced_hashes() == std::vector{image.job->info_hash().value()});
    CHECK(image.job->torrent_stamp() == stamp_of(image.wanted.torrent));
    auto const status = image.job->status();
    CHECK(status.info_hash == image.job->info_hash());
    CHECK(status.info_hash);
    CHECK(status.total_bytes == image_fixture::total);
    CHECK(status.piece_length == image_fixture::piece_length);
    CHECK(status.piece_count == image_fixture::piece_count);
    CHECK(status.profile == storage_class::nvme);
    CHECK(status.engine == "2 threads, page cache");
    image.close();
    CHECK_FALSE(image.job->queue_progress());
    CHECK(image.device_is_free());
}

TEST_CASE("an unavailable engine or direct I/O is a warning") {
    image_fixture image(image_mode::deploy);
    for (auto& profile : image.in_force.profiles) {
        profile.direct_io = direct_io_mode::on;
        profile.io_engine = io_engine_kind::io_uring;
    }
    static_cast<void>(image.use_fake_device()); // has no descriptor, which both need
    image.start();
    image.run_until(image_state::checking);
    CHECK(image.logged("io_uring is unavailable (EOPNOTSUPP); using threads"));
    CHECK(image.logged("direct I/O is unavailable; using the page cache"));
    CHECK(image.job->status().engine == "2 threads, page cache, io_uring unavailable (EOPNOTSUPP)");
    image.close();
}

TEST_CASE("closing while the device is being opened waits for the worker, and the swarm is not joined") {
    image_fixture image(image_mode::deploy);
    SECTION("well") {
        image.start();
        image.close();
    }
    SECTION("unsuccessfully") {
        std::filesystem::remove(image.device_path());
        image.start();
        image.close();
        CHECK_FALSE(image.logged("failed"));
        std::ofstream(image.device_path()) << "";
    }
    CHECK(image.swarm.calls.empty());
    CHECK(image.states == std::vector<image_state>{image_state::opening, image_state::closing, image_state::closed});
    CHECK(image.logged("sda1: closed"));
    CHECK(image.reports.forgotten == std::vector<std::string>{"sda1"});
    CHECK(image.device_is_free());
}
