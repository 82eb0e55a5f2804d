#include "core/backend/backend.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <limits>
#include <memory>
#include <semaphore>
#include <system_error>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <sys/mman.h>

#include "backend_fixture.hpp"
#include "core/cache/drain_meter.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

using std::chrono::milliseconds;
using clock_type = std::chrono::steady_clock;

/// Pieces of 256 blocks in one extent, so that a long run does not complete its piece.
image_plan large(std::uint32_t seed, milliseconds delay, std::int64_t length = 4096 * kib) {
    image_plan plan;
    plan.seed = seed;
    plan.piece_length = 4096 * kib;
    plan.extents = {{4096, length}};
    plan.coalesce = 16LL << 20;
    plan.delay = delay;
    plan.read_ahead = block_size;
    plan.threads = 2;
    return plan;
}

} // namespace

TEST_CASE("each image's blocks leave after its own delay") {
    test_backend shared;
    std::uint32_t const turn = GENERATE(0U, 1U, 2U); // each is once the last one that the flusher checks
    auto& slow = shared.add(large(1 + turn, milliseconds(600'000)));
    auto const quick_delay = milliseconds(400);
    auto& quick = shared.add(large(1 + (turn + 1) % 3, quick_delay));
    auto& quicker = shared.add(large(1 + (turn + 2) % 3, milliseconds(10)));
    test_session session(shared.shared);
    auto const slow_storage = session.add(slow);
    auto const quick_storage = session.add(quick);
    auto const quicker_storage = session.add(quicker);
    auto const data = pattern(block_size, 5);
    int in_time = 0; // a busy machine may wake the flusher when both are due, which proves nothing
    for (int round = 0; round < 3; ++round) { // the flusher goes back to sleep in between
        auto const begin = clock_type::now();
        auto const waits = session.write(slow_storage, 0, round * 2 * block_size, data);
        auto const second = session.write(quick_storage, 0, round * 2 * block_size, data);
        auto const first = session.write(quicker_storage, 0, round * 2 * block_size,
                                         data); // due before the one that the flusher sleeps for
        session.run_until(first);
        CHECK(clock_type::now() - begin >= milliseconds(10));
        in_time += clock_type::now() - begin < quick_delay;
        session.run_until(second);
        CHECK(clock_type::now() - begin >= quick_delay);
        CHECK_FALSE(waits->done());
    }
    CHECK(in_time > 0);
    CHECK(slow.device->accesses().empty());
    shared.shared->expedite();
    session.run_all();
    CHECK(slow.device->accesses(operation::write).size() == 3);
    CHECK(session.all_ended_well());
}

TEST_CASE("the blocks of an image that is no longer served leave in time") {
    test_backend shared;
    auto& image = shared.add(large(1, milliseconds(20)));
    test_session session(shared.shared);
    auto const storage = session.add(image);
    shared.shared->remove_image(image.key());
    auto const write = session.write(storage, 0, 0, pattern(block_size, 5));
    session.run_until(write); // fails after a minute if no thread flushes it
    CHECK(write->ok());
}

TEST_CASE("a backend is destroyed while its images are reading ahead") {
    auto plan = large(1, milliseconds(0));
    plan.read_ahead = 1024 * kib;
    test_backend shared;
    auto& image = shared.add(plan);
    {
        test_session session(shared.shared);
        auto const storage = session.add(image);
        session.read(storage, 0, 0, 100);
        session.run_all();
    }
    shared.images.clear();
    shared.shared.reset();
}

// --- the pool

TEST_CASE("writes alone fill seven eighths of the pool before a peer must pause") {
    constexpr int blocks = 64;
    disk_io_test t(large(1, milliseconds(600'000), 8192 * kib), blocks * block_size);
    t.session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, std::numeric_limits<int>::max());
    t.session.io->settings_updated();
    int written = 0;
    while (!t.write(0, written * block_size, 1)->pause) {
        ++written;
        REQUIRE(written <= blocks);
    }
    CHECK(written * 100 >= blocks * 87);
    CHECK(written <= blocks); // before it lends
    t.session.run_all();      // the pause made them leave
    CHECK(t.session.all_ended_well());
}

TEST_CASE("reads alone fill the whole pool, and writes take it from them") {
    constexpr int blocks = 64;
    disk_io_test t(large(1, milliseconds(600'000), 8192 * kib), blocks * block_size);
    auto const cached = [&t] { return t.shared.shared->cache().stats().clean; };
    for (int i = 0; i < 2 * blocks; ++i) {
        t.session.read(t.storage, i / 256, i % 256 * block_size, block_size);
        if (i % 8 == 0) {
            t.session.run_all();
            t.session.forget_ended(); // a peer has received it: the handler returns libtorrent's block
        }
    }
    t.session.run_all();
    CHECK(cached() * 100 >= blocks * 87);
    CHECK(cached() <= blocks);
    // The last blocks read are still cached.
    t.image.device->clear_accesses();
    t.session.read(t.storage, 0, (2 * blocks - 1) * block_size, block_size);
    t.session.run_all();
    CHECK(t.image.device->accesses().empty());

    int written = 0;
    while (!t.write(1, written * block_size, 1)->pause) {
        ++written;
    }
    CHECK(written * 100 >= blocks * 87);
    CHECK(t.shared.shared->pool().in_use() <= blocks + 1);
    t.session.run_all();
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a slow disk holds back only the peers that write to it") {
    test_backend shared(64LL << 20);
    auto& slow = shared.add(large(1, milliseconds(0), 40 * 1024 * kib));
    auto& fast = shared.add(large(2, milliseconds(0)));
    test_session session(shared.shared, 1 << 30);
    auto const to_slow = session.add(slow);
    auto const to_fast = session.add(fast);
    auto const held = slow.device->hold(operation::write);
    auto const data = pattern(block_size, 1);
    int written = 0;
    while (!session.write(to_slow, written / 256, written % 256 * block_size, data)->pause) {
        REQUIRE(++written < 2400);
    }
    CHECK(written == drain_meter::floor / block_size);
    for (int i = 0; i < 4; ++i) {
        auto const write = session.write(to_fast, 0, i * block_size, data);
        CHECK_FALSE(write->pause);
        session.run_until(write);
        CHECK(write->ok());
    }
    CHECK(session.write(to_slow, 9, 255 * block_size, data)->pause);
}

TEST_CASE("a disk that hangs leaves a quarter of the waiting bytes to other disks, however fast it was") {
    constexpr int blocks = 64;
    test_backend shared(blocks * block_size);
    auto plan = large(1, milliseconds(0), 8192 * kib);
    auto& hangs = shared.add(plan);
    plan.seed = 2;
    auto& works = shared.add(plan);
    test_session session(shared.shared);
    session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, std::numeric_limits<int>::max());
    session.io->settings_updated();
    auto const to_hanging = session.add(hangs);
    auto const to_working = session.add(works);
    auto const held = hangs.device->hold(operation::write);
    int written = 1;
    while (!session.write(to_hanging, 0, written * block_size, pattern(block_size, 1))->pause) {
        REQUIRE(++written <= blocks);
    }
    CHECK(written == blocks / 16 * 15 / 4 * 3 + 1);
    for (int i = 0; i < 4; ++i) {
        auto const write = session.write(to_working, 0, i * block_size, pattern(block_size, 2));
        CHECK_FALSE(write->pause);
        session.run_until(write);
        CHECK(write->ok());
    }
}

TEST_CASE("a full pool that shrinks returns its blocks, and the watermark follows") {
    disk_io_test t(large(1, milliseconds(0), 8192 * kib), 64 * block_size);
    t.session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, std::numeric_limits<int>::max());
    t.session.io->settings_updated();
    for (int i = 0; i < 64; ++i) {
        t.session.read(t.storage, 0, i * block_size, block_size);
    }
    t.session.run_all();
    CHECK(t.shared.shared->pool().in_use() > 56);
    t.shared.shared->resize(16 * block_size, std::nullopt);
    CHECK(t.shared.shared->pool().in_use() == 16);
    CHECK(t.shared.shared->cache().stats().clean == 16);
    CHECK(t.shared.shared->cache().invariant_holds());
    {
        auto const held = t.image.device->hold(operation::write);
        int written = 0;
        while (!t.write(1, written * block_size, 1)->pause) {
            ++written;
        }
        CHECK(written == 15);
    }
    t.session.run_all();
    t.shared.shared->resize(64 * block_size, 4 * block_size);
    CHECK(t.shared.shared->cache().stats().clean <= 4);
    for (int i = 0; i < 20; ++i) {
        t.session.read(t.storage, 0, i * block_size, block_size);
    }
    t.session.run_all();
    CHECK(t.shared.shared->cache().stats().clean == 4);
    CHECK(t.shared.all_given_back());
}

TEST_CASE("pool and cache change their size under load") {
    test_backend shared(32 * block_size, 2);
    auto& image = shared.add(test_image::awkward(3));
    std::atomic<bool> stop{false};
    std::jthread const resizer([&] {
        for (unsigned i = 0; !stop; ++i) {
            auto const cache =
                i % 3 == 0 ? std::nullopt : std::optional<std::int64_t>(std::int64_t{i % 7} * block_size);
            shared.shared->resize(std::int64_t{4 + i * 13 % 60} * block_size, cache);
            if (i % 5 == 0) {
                shared.shared->expedite();
            }
            std::this_thread::yield();
        }
    });
    {
        test_session session(shared.shared);
        auto const storage = session.add(image);
        for (std::uint32_t round = 0; round < 400; ++round) {
            int const piece = static_cast<int>(round % 4);
            int const start = static_cast<int>(round * 7 % 4) * block_size;
            if (start >= image.piece_size(piece)) {
                continue;
            }
            auto const offset = image.storage->stream_offset(piece_index{piece}, start);
            auto const length = std::min(block_size, image.piece_size(piece) - start);
            auto const data = pattern(static_cast<std::size_t>(length), round);
            session.write(storage, piece, start, data);
            session.read(storage, piece, start, length)->then = [data](outcome& got) { CHECK(got.data == data); };
            session.stop(storage); // otherwise a later write would be seen
            if (round % 16 == 0) {
                session.run_all();
                CHECK(image.stream(offset, length) == data);
            }
        }
        session.run_all();
        CHECK(session.all_ended_well());
    }
    stop = true;
    CHECK(shared.shared->cache().invariant_holds());
}

TEST_CASE("blocks are backed with memory soon before their first use, and no earlier") {
    backend_options options;
    options.huge_pages = false;
    backend shared(std::int64_t{1} << 30, 1, options);
    auto& pool = shared.pool();
    auto const is_backed = [&pool](std::uint32_t block) {
        unsigned char resident = 0;
        if (::mincore(pool.data(block_index{block}), 1, &resident) != 0) {
            throw std::system_error(errno, std::generic_category(), "mincore");
        }
        return (resident & 1U) != 0;
    };
    eventually([&] { return is_backed(255); });
    CHECK_FALSE(is_backed(256));
    std::vector<block_ref> taken;
    for (int i = 0; i < 1024; ++i) {
        taken.push_back(pool.allocate());
    }
    eventually([&] { return is_backed(2047); });
    CHECK_FALSE(is_backed(2048));
    // A smaller pool keeps only what is in use; once it is larger again, the next blocks are backed.
    taken.resize(64);
    shared.resize(std::int64_t{1} << 20, std::nullopt);
    CHECK(is_backed(63));
    CHECK_FALSE(is_backed(64));
    CHECK_FALSE(is_backed(2047));
    shared.resize(std::int64_t{1} << 30, std::nullopt);
    eventually([&] { return is_backed(2048); });
}

TEST_CASE("a session that ends makes waiting blocks leave") {
    test_backend shared;
    auto& image = shared.add(large(1, milliseconds(600'000)));
    {
        test_session session(shared.shared);
        auto storage = session.add(image);
        session.write(storage, 0, 0, pattern(block_size, 5));
        storage.reset();
        session.io.reset(); // waits for the write
    }
    CHECK(image.stream({}, block_size) == pattern(block_size, 5));
}
