#include "core/backend/image_verifier.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <semaphore>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "backend_fixture.hpp"
#include "core/image/sha1.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

class verifier_test {
public:
    explicit verifier_test(image_plan const& plan, int hash_threads = 4)
        : image(plan)
        , workers("hash", hash_threads) {}

    void start(int parallel, std::vector<bool> only = {}, bool skip_unreadable = false) {
        auto done = [this](auto const& got) {
            ++calls;
            m_outcome = got;
            m_done.release();
        };
        verifier = image_verifier::start(image.storage, workers, {parallel, image.plan.elevator}, std::move(done),
                                         std::move(only), skip_unreadable);
    }
    image_verifier::outcome const& wait() {
        m_done.acquire();
        return *m_outcome;
    }
    image_verifier::outcome const& verify(int parallel) {
        start(parallel);
        return wait();
    }
    /// Makes a byte of the medium differ from the torrent; read() still sees the right one.
    void spoil(std::int64_t device_offset) {
        auto const right = image.device->medium(device_offset, 1);
        image.device->set_medium(device_offset, bytes{right[0] ^ std::byte{1}});
    }

    test_image image;
    std::shared_ptr<image_verifier> verifier;
    std::atomic<int> calls{0};

private:
    std::optional<image_verifier::outcome> m_outcome;
    std::binary_semaphore m_done{0};

public:
    worker_pool workers; ///< last: its jobs use the members above
};

/// The same for a disk with a head, or without.
image_plan with_head(image_plan plan, bool head) {
    plan.elevator = head;
    return plan;
}

image_plan plan_of(int kind) {
    switch (kind) {
    case 0:
        return test_image::awkward();
    case 1:
        return test_image::with_padding(torrent_kind::hybrid);
    case 2:
        return test_image::with_padding(torrent_kind::v2);
    default: { // pieces larger than one read
        auto plan = test_image::with_padding(kind == 3 ? torrent_kind::v2 : torrent_kind::v1);
        plan.piece_length = 2048 * kib;
        plan.extents = {{512, 100}, {4096, 1000 * kib + 5}, {1500 * kib, 3500 * kib + 77}};
        return plan;
    }
    }
}

} // namespace

TEST_CASE("an image that matches its torrent passes") {
    verifier_test t(with_head(plan_of(GENERATE(range(0, 5))), GENERATE(false, true)));
    auto const& outcome = t.verify(GENERATE(1, 4, 0));
    CHECK(outcome.ok());
    CHECK(outcome.differing.empty());
    CHECK_FALSE(outcome.cancelled);
    CHECK(t.verifier->verified_bytes() == t.image.storage->torrent().extents.total_size());
    CHECK(t.image.device->accesses(operation::read).empty()); // the page cache is not read
    CHECK(t.calls == 1);
}

TEST_CASE("any differing byte of the medium is found, even if the page cache is right") {
    auto const kind = GENERATE(range(0, 5));
    auto const parallel = GENERATE(1, 4);
    verifier_test t(with_head(plan_of(kind), GENERATE(false, true)));
    auto const& torrent = t.image.storage->torrent();
    for (auto const& part : torrent.extents.extents()) {
        if (part.device_offset == extent::padding) {
            continue;
        }
        for (auto const at : {part.device_offset, part.device_offset + part.length - 1}) {
            CAPTURE(kind, at);
            t.spoil(at);
            auto const& outcome = t.verify(parallel);
            CHECK_FALSE(outcome.ok());
            REQUIRE(outcome.pieces.size() == 1);
            auto const piece = outcome.pieces[0];
            auto expected =
                t.image.slices(t.image.storage->stream_offset(piece, 0), t.image.storage->piece_size(piece));
            std::erase_if(expected, [](extent const& e) { return e.device_offset == extent::padding; });
            CHECK(outcome.differing == expected);
            CHECK(std::ranges::any_of(outcome.differing, [at](extent const& e) {
                return e.device_offset <= at && at < e.device_offset + e.length;
            }));
            t.spoil(at);
        }
    }
    CHECK(t.verify(parallel).ok());
}

TEST_CASE("of the pieces that are checked together, each has its own result") {
    image_plan plan;
    plan.piece_length = 1536 * kib;
    plan.extents = {{4096, 9 * 1536 * kib + 5}}; // several reads each, and a short last one
    verifier_test t(plan);
    auto const parallel = GENERATE(1, 2);
    auto const last_of = [&](int piece) { // the last byte of the piece on the device
        return 4096 + piece * 1536 * kib + t.image.piece_size(piece) - 1;
    };
    for (int piece = 0; piece < t.image.pieces(); ++piece) {
        CAPTURE(piece);
        t.spoil(last_of(piece));
        CHECK(t.verify(parallel).pieces == std::vector{piece_index{piece}});
        t.spoil(last_of(piece));
    }
    t.image.device->fail(operation::read_medium, EIO, last_of(2), 1);
    t.spoil(last_of(1));
    t.spoil(last_of(3));
    t.start(parallel, {}, true);
    auto const& outcome = t.wait();
    CHECK(outcome.unreadable == std::vector{piece_index{2}});
    CHECK(outcome.pieces == std::vector{piece_index{1}, piece_index{3}});
    CHECK(t.verifier->verified_bytes() == t.image.storage->torrent().extents.total_size() - t.image.piece_size(2));
}

TEST_CASE("only the named pieces are read, if some are named") {
    verifier_test t(test_image::awkward());
    t.spoil(512);       // in piece 0
    t.spoil(279 * kib); // in piece 3
    std::vector<bool> only(static_cast<std::size_t>(t.image.storage->torrent().piece_count), false);
    only[0] = true;
    t.start(GENERATE(1, 4), only);
    auto const& outcome = t.wait();
    CHECK(outcome.pieces == std::vector{piece_index{0}});
    CHECK_FALSE(outcome.cancelled);
    CHECK(t.verifier->verified_bytes() == t.image.piece_size(0));
}

TEST_CASE("several differing pieces are reported in order") {
    verifier_test t(test_image::awkward());
    t.spoil(279 * kib);
    t.spoil(512);
    t.spoil(4096);
    auto const& outcome = t.verify(4);
    CHECK(outcome.pieces == std::vector{piece_index{0}, piece_index{3}});
    CHECK(std::ranges::is_sorted(outcome.differing, {}, &extent::device_offset));
    CHECK(outcome.differing.front() == extent{512, 1000});
}

TEST_CASE("the content of a gap does not matter") {
    verifier_test t(test_image::awkward());
    t.spoil(0);
    t.spoil(511);
    t.spoil(1512);
    t.spoil(t.image.device->size() - 1);
    CHECK(t.verify(1).ok());
}

TEST_CASE("data that has not been flushed does not pass") {
    verifier_test t(test_image::awkward());
    auto const right = t.image.stream({}, block_size);
    t.image.device->set_contents(512, bytes(1000));
    t.image.put({}, right);
    CHECK(t.verify(1).pieces == std::vector{piece_index{0}});
    REQUIRE(t.image.storage->flush());
    CHECK(t.verify(1).ok());
}

TEST_CASE("a failed read is reported and ends the work") {
    verifier_test t(test_image::awkward());
    auto const parallel = GENERATE(1, 4);
    auto const place = t.image.slices(torrent_offset{64 * kib}, 1).front().device_offset;
    t.image.device->fail(operation::read_medium, EIO, place, 1);
    auto const& outcome = t.verify(parallel);
    CHECK_FALSE(outcome.ok());
    REQUIRE(outcome.read_failed);
    CHECK(outcome.read_failed->code == EIO);
    CHECK(outcome.pieces.empty());
    CHECK_FALSE(outcome.cancelled);
    CHECK(t.calls == 1);
    if (parallel == 1) { // nothing after the failed piece is checked
        // The pieces that are checked together end together.
        CHECK(t.verifier->verified_bytes() == (sha1_in_lanes() ? 0 : 64 * kib));
    }
}

TEST_CASE("unreadable pieces are listed, and the others checked, if that is wanted") {
    verifier_test t(test_image::awkward());
    auto const parallel = GENERATE(1, 4);
    auto const place = t.image.slices(torrent_offset{64 * kib}, 1).front().device_offset;
    t.image.device->fail(operation::read_medium, EIO, place, 1);
    t.spoil(t.image.slices(torrent_offset{128 * kib}, 1).front().device_offset);
    t.start(parallel, {}, true);
    auto const& outcome = t.wait();
    CHECK_FALSE(outcome.ok());
    CHECK(outcome.unreadable == std::vector{piece_index{1}});
    CHECK(outcome.pieces == std::vector{piece_index{2}});
    REQUIRE(outcome.read_failed);
    CHECK(outcome.read_failed->code == EIO);
    CHECK_FALSE(outcome.cancelled);
    CHECK(t.verifier->verified_bytes() == t.image.storage->torrent().extents.total_size() - 64 * kib);
}

TEST_CASE("a cancelled verification ends after the pieces in progress") {
    verifier_test t(test_image::awkward());
    auto const parallel = GENERATE(1, 2);
    auto held = t.image.device->hold(operation::read_medium);
    t.start(parallel);
    held.wait_until_waiting(parallel);
    t.verifier->cancel();
    held.release();
    auto const& outcome = t.wait();
    CHECK(outcome.cancelled);
    CHECK_FALSE(outcome.ok());
    CHECK(outcome.pieces.empty());
    CHECK(t.verifier->verified_bytes() <= parallel * 64 * kib); // the pieces that are checked together end together
    if (parallel == 1) {
        CHECK(t.verifier->verified_bytes() == (sha1_in_lanes() ? 0 : 64 * kib));
    }
    CHECK(t.calls == 1);
}

TEST_CASE("a cancelled verification does not read a large piece to its end, and does not pass") {
    image_plan plan;
    plan.piece_length = 4096 * kib;
    plan.extents = {{4096, 4096 * kib}}; // one piece, four reads
    verifier_test t(with_head(plan, GENERATE(false, true)));
    auto held = t.image.device->hold(operation::read_medium);
    t.start(1);
    held.wait_until_waiting(1);
    t.verifier->cancel();
    held.release();
    auto const& outcome = t.wait();
    CHECK(outcome.cancelled);
    CHECK_FALSE(outcome.ok());
    CHECK(outcome.pieces.empty());
    CHECK(t.verifier->verified_bytes() == 0);
    CHECK(t.image.device->accesses(operation::read_medium).size() == 1);
}

TEST_CASE("pieces are taken in order, the given number at once") {
    verifier_test t(test_image::awkward());
    auto held = t.image.device->hold(operation::read_medium);
    t.start(3);
    held.wait_until_waiting(3);
    CHECK(t.image.device->accesses().size() == 3);
    held.release();
    CHECK(t.wait().ok());
    t.image.device->clear_accesses();
    t.verify(1);
    CHECK(std::ranges::is_sorted(t.image.device->accesses(), {}, &fake_block_device::access::offset));
}

TEST_CASE("one reader reads the disk once, whichever worker hashes") {
    image_plan plan;
    plan.piece_length = 4096 * kib;
    plan.extents = {{4096, 9 * 4096 * kib + 5}}; // ten pieces, with four reads for all but the last
    verifier_test t(with_head(plan, true));
    CHECK(t.verify(3).ok());
    auto const reads = t.image.device->accesses(operation::read_medium);
    CHECK(reads.size() == 37);
    CHECK(std::ranges::is_sorted(reads, {}, &fake_block_device::access::offset));
}

TEST_CASE("a failed read ends the reader and the workers that wait for it") {
    verifier_test t(with_head(test_image::awkward(), true));
    t.image.device->fail(operation::read_medium, EIO, t.image.slices(torrent_offset{64 * kib}, 1).front().device_offset,
                         1);
    auto const& outcome = t.verify(4);
    REQUIRE(outcome.read_failed);
    CHECK(outcome.read_failed->code == EIO);
    CHECK(t.calls == 1);
    CHECK(t.verifier->verified_bytes() == 64 * kib);
}

TEST_CASE("a device that hangs during verification does not occupy the workers") {
    std::counting_semaphore<> ran(0); // outlive the workers
    std::counting_semaphore<> all(0);
    verifier_test t(with_head(test_image::awkward(), GENERATE(false, true)), GENERATE(1, 2));
    auto const threads = t.workers.threads();
    auto held = t.image.device->hold(operation::read_medium);
    t.start(threads);
    held.wait_until_waiting(1);
    for (int i = 0; i < threads; ++i) { // as many at a time as without
        t.workers.submit([&] {
            ran.release();
            all.acquire();
        });
    }
    for (int i = 0; i < threads; ++i) {
        CHECK(ran.try_acquire_for(std::chrono::seconds(30)));
    }
    all.release(threads);
    held.release();
    CHECK(t.wait().ok());
}
