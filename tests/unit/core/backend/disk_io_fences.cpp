// disk_io: operations that run alone on their storage, and those that end because of them.

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/torrent_flags.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// Any operation that is a fence, by number.
outcome_ptr post_fence(disk_io_test& t, int which) {
    switch (which) {
    case 0:
        return t.session.stop(t.storage);
    case 1:
        return t.session.release(t.storage);
    case 2:
        return t.session.check(t.storage);
    case 3:
        return t.session.clear(t.storage, 1);
    case 4:
        return t.session.priorities(t.storage);
    case 5:
        return t.session.move(t.storage, "/elsewhere");
    case 6:
        return t.session.rename(t.storage, 0, "name");
    default:
        return t.session.erase(t.storage);
    }
}

constexpr int fences = 8;

} // namespace

TEST_CASE("a fence waits for all earlier jobs and holds all later ones") {
    auto plan = test_image::awkward(8);
    if (GENERATE(false, true)) {
        // Only the fence makes blocks leave early.
        plan.coalesce = 1024 * kib;
        plan.delay = std::chrono::milliseconds(600'000);
    }
    disk_io_test t(plan);
    int const which = GENERATE(range(0, fences));
    auto const held_op = GENERATE(operation::read, operation::write);
    CAPTURE(which, held_op);
    auto held = t.image.device->hold(held_op);
    std::vector<outcome_ptr> const before{t.session.read(t.storage, 0, 0, 100), t.write(1, 0, 7),
                                          t.session.hash(t.storage, 2)};
    auto const fence = post_fence(t, which);
    std::vector<outcome_ptr> const after{t.session.read(t.storage, 3, 0, 100), t.write(3, 0, 8),
                                         t.session.hash(t.storage, 3)};
    held.wait_until_waiting(1);
    if (held_op == operation::read) {
        held.wait_until_waiting(2);
        t.session.run_until(before[1]);
    } else {
        t.session.run_until([&] { return before[0]->done() && before[2]->done(); });
    }
    t.session.poll();
    CHECK_FALSE(fence->done());
    // The later jobs are all for the last piece, which follows all other pieces on the device.
    auto const last_piece = t.image.slices(torrent_offset{192 * kib}, 1).front().device_offset;
    auto const began = [&] {
        return std::ranges::any_of(t.image.device->accesses(),
                                   [last_piece](auto const& access) { return access.offset >= last_piece; });
    };
    CHECK_FALSE(began());
    fence->then = [&](outcome&) { CHECK_FALSE(began()); };
    held.release();
    t.session.run_all();
    CHECK(began());
    for (int i = 0; i < 3; ++i) {
        CHECK(before[static_cast<std::size_t>(i)]->order < 3);
        CHECK(after[static_cast<std::size_t>(i)]->order > 3);
    }
    CHECK(fence->order == 3);
    CHECK(after[2]->sha1 == sha1_of(t.piece(3)));
    CHECK(t.session.all_ended_well());
}

TEST_CASE("writes between two fences leave because of the second") {
    auto plan = test_image::awkward();
    plan.coalesce = 1024 * kib;
    plan.delay = std::chrono::milliseconds(600'000);
    disk_io_test t(plan);
    auto held = t.image.device->hold(operation::write);
    t.write(0, 0, 1);
    auto const first = t.session.stop(t.storage);
    held.wait_until_waiting(1);
    auto const between = t.write(1, 0, 2); // not begun when the second fence is posted
    auto const second = t.session.stop(t.storage);
    held.release();
    t.session.run_all();
    CHECK(first->order == 1);
    CHECK(between->order == 2);
    CHECK(second->order == 3);
}

TEST_CASE("a block that is written again while it is in flight leaves because of the fence") {
    auto plan = test_image::awkward();
    plan.coalesce = 1024 * kib;
    plan.delay = std::chrono::milliseconds(600'000);
    disk_io_test t(plan);
    auto held = t.image.device->hold(operation::write);
    t.write(0, 0, 1);
    t.image.io().expedite();
    held.wait_until_waiting(1);
    t.write(0, 0, 2);
    t.session.stop(t.storage);
    held.release();
    t.session.run_all();
    CHECK(t.image.stream({}, block_size) == t.block(0, 0, 2));
    CHECK(t.session.all_ended_well());
}

TEST_CASE("fences end in the order of posting, even without other jobs") {
    disk_io_test t;
    std::vector<outcome_ptr> posted;
    for (int round = 0; round < 3; ++round) {
        for (int which = 0; which < fences; ++which) {
            posted.push_back(post_fence(t, which));
        }
    }
    CHECK(std::ranges::none_of(posted, [](auto const& each) { return each->done(); }));
    t.session.run_all();
    for (std::size_t i = 0; i < posted.size(); ++i) {
        CHECK(posted[i]->order == static_cast<int>(i));
    }
    CHECK(t.session.all_ended_well());
}

TEST_CASE("a fence of one torrent does not hold back another") {
    disk_io_test t;
    auto other_plan = test_image::awkward();
    other_plan.seed = 2;
    auto& other = t.shared.add(other_plan);
    auto const other_storage = t.session.add(other);
    auto held = t.image.device->hold(operation::read);
    auto const stuck = t.session.read(t.storage, 0, 0, 100);
    auto const fence = t.session.stop(t.storage);
    auto const read = t.session.read(other_storage, 0, 0, 100);
    auto const other_fence = t.session.stop(other_storage);
    auto const last = t.session.read(other_storage, 1, 0, 100);
    t.session.run_until(last);
    CHECK(read->ok());
    CHECK(other_fence->ok());
    CHECK_FALSE(stuck->done());
    CHECK_FALSE(fence->done());
    held.release();
    t.session.run_all();
}

TEST_CASE("jobs that a fence's handler posts run after those that waited for the fence") {
    disk_io_test t(test_image::awkward(1));
    auto const fence = t.session.stop(t.storage);
    auto const waiting = t.session.stop(t.storage);
    outcome_ptr later;
    fence->then = [&](outcome&) { later = t.session.stop(t.storage); };
    t.session.run_all();
    REQUIRE(later);
    CHECK(waiting->order == 1);
    CHECK(later->order == 2);
    CHECK(t.session.all_ended_well());
}

TEST_CASE("a handler may post the next operation") {
    disk_io_test t;
    int left = 50;
    std::function<void(outcome&)> again = [&](outcome&) {
        if (--left > 0) {
            t.session.read(t.storage, left % 4, 0, 100)->then = again;
        }
    };
    t.session.read(t.storage, 0, 0, 100)->then = again;
    t.session.run_until([&] { return left == 0; });
    t.session.run_all();
    CHECK(t.session.all_ended_well());
}

TEST_CASE("devices are not moved, renamed or deleted") {
    disk_io_test t;
    auto const move = t.session.move(t.storage, "/elsewhere");
    auto const rename = t.session.rename(t.storage, 2, "name");
    auto const erase = t.session.erase(t.storage);
    t.session.run_all();
    for (auto const& each : {move, rename, erase}) {
        CHECK(each->error.ec == boost::system::errc::operation_not_supported);
    }
    CHECK(move->status == lt::status_t::fatal_disk_error);
    CHECK(move->text == "/elsewhere");
    CHECK(rename->text == "name");
    CHECK(rename->number == 2);
    CHECK(static_cast<int>(rename->error.file()) == 2);
    CHECK(t.image.device->accesses().empty());
    auto const read = t.session.read(t.storage, 0, 0, 100);
    t.session.run_all();
    CHECK(read->ok());
}

TEST_CASE("operations that do nothing here succeed") {
    disk_io_test t;
    auto const priorities = t.session.priorities(t.storage);
    auto const clear = t.session.clear(t.storage, 3);
    t.session.run_all();
    CHECK(priorities->ok());
    CHECK(priorities->number == 1);
    CHECK(clear->ok());
    CHECK(clear->number == 3);
    // libtorrent may pass no handler.
    t.session.io->async_stop_torrent(t.storage, {});
    t.session.io->async_release_files(t.storage, {});
    t.session.io->submit_jobs();
    t.session.run_all();
    CHECK(t.image.device->accesses().empty());
}

TEST_CASE("a torrent is checked unless its resume data names its pieces") {
    disk_io_test t;
    auto const status = [&t](lt::add_torrent_params const* resume) {
        auto const check = t.session.check(t.storage, resume);
        t.session.run_all();
        CHECK(check->ok());
        return check->status;
    };
    CHECK(status(nullptr) == lt::status_t::need_full_check);
    lt::add_torrent_params resume;
    CHECK(status(&resume) == lt::status_t::need_full_check);
    resume.have_pieces.resize(4, false);
    CHECK(status(&resume) == lt::status_t::no_error);
    resume.have_pieces.clear();
    resume.flags |= lt::torrent_flags::seed_mode;
    CHECK(status(&resume) == lt::status_t::no_error);
}

TEST_CASE("the resume data may be destroyed when the check runs") {
    disk_io_test t;
    auto held = t.image.device->hold(operation::read);
    t.session.read(t.storage, 0, 0, 100);
    auto resume = std::make_unique<lt::add_torrent_params>();
    resume->have_pieces.resize(4, true);
    auto const check = t.session.check(t.storage, resume.get());
    resume.reset();
    held.release();
    t.session.run_all();
    CHECK(check->status == lt::status_t::no_error);
}

TEST_CASE("a stop ends only the check hashes that have not begun") {
    disk_io_test t(test_image::awkward(1), default_pool, 1);
    constexpr auto check_flags = lt::disk_interface::v1_hash | lt::disk_interface::volatile_read;
    auto held = t.image.device->hold(operation::read);
    auto const begun = t.session.hash(t.storage, 0, check_flags);
    held.wait_until_waiting(1);
    auto const queued = t.session.hash(t.storage, 1, check_flags);
    auto const queued2 = t.session.hash2(t.storage, 1, 0, lt::disk_interface::volatile_read);
    auto const wanted = t.session.hash(t.storage, 2);
    auto const read = t.session.read(t.storage, 3, 0, 100);
    bool const deleted = GENERATE(false, true);
    auto const stop = deleted ? t.session.erase(t.storage) : t.session.stop(t.storage);
    auto const later = t.session.hash(t.storage, 1, check_flags);
    held.release();
    t.session.run_all();
    CHECK(begun->ok());
    CHECK(begun->sha1 == sha1_of(t.piece(0)));
    CHECK(queued->error.ec == boost::asio::error::operation_aborted);
    CHECK(queued2->error.ec == boost::asio::error::operation_aborted);
    CHECK(wanted->ok());
    CHECK(read->ok());
    CHECK(later->ok());
    CHECK(stop->order == 5);
    CHECK(t.session.all_ended_well());
}
