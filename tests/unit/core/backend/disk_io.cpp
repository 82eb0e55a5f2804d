// disk_io: lifetime, abort, back-pressure, counters, and sessions that share a backend.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/error.hpp>
#include <catch2/catch.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

bool aborted(outcome_ptr const& what) {
    return what->calls == 1 && what->error.ec == boost::asio::error::operation_aborted;
}

struct counting_observer final : lt::disk_observer {
    std::function<void()> then;
    int calls = 0;
    void on_disk() override {
        ++calls;
        if (then) {
            then();
        }
    }
};

/// Releases the held operations when \p count of them wait; for a network thread that is itself waiting.
std::jthread release_when_waiting(fake_block_device::held_operations& held, int count) {
    return std::jthread([&held, count] {
        held.wait_until_waiting(count);
        held.release();
    });
}

} // namespace

// --- abort and destruction

TEST_CASE("after an abort writes still reach the device, and jobs that have not begun end aborted") {
    bool const wait = GENERATE(false, true);
    auto const delay = GENERATE(0, 600'000);
    auto plan = test_image::awkward(1);
    plan.delay = std::chrono::milliseconds(delay);
    plan.coalesce = delay == 0 ? block_size : 1024 * kib;
    disk_io_test t(plan);
    auto held = t.image.device->hold(operation::read);
    auto const begun = t.session.read(t.storage, 0, 0, 100);
    held.wait_until_waiting(1);
    auto const read = t.session.read(t.storage, 1, 0, 100);
    auto const write = t.write(1, 0, 7);
    auto const second_write = t.write(1, 0, 8);
    auto const fence = t.session.stop(t.storage);
    auto const behind = t.session.read(t.storage, 2, 0, 100);
    auto const hash_behind = t.session.hash(t.storage, 2);
    auto const write_behind = t.write(2, 0, 9);
    if (wait) {
        t.session.io->abort(false); // so that the release below cannot precede it
        auto const releaser = release_when_waiting(held, 1);
        t.session.io->abort(true);
        // All workers finish before the first handler runs.
        CHECK(t.image.stream(torrent_offset{64 * kib}, block_size) == t.block(1, 0, 8));
        CHECK_FALSE(begun->done());
    } else {
        t.session.io->abort(false);
        held.release();
    }
    t.session.run_all();
    CHECK(begun->ok());
    CHECK(read->ok()); // it was handed to the queue before the abort
    CHECK(write->ok());
    CHECK(second_write->ok());
    CHECK(fence->ok());
    CHECK(aborted(behind));
    CHECK(aborted(hash_behind));
    CHECK(write_behind->ok());
    CHECK(t.piece(2) != t.piece(1));
    CHECK(t.image.stream(torrent_offset{128 * kib}, block_size) == t.block(2, 0, 9));
    CHECK(fence->order == 4);
    CHECK(t.image.device->overlaps() == 0);

    auto const later_write = t.write(3, 0, 4);
    auto const later_read = t.session.read(t.storage, 3, 0, 4);
    auto const later_stop = t.session.stop(t.storage);
    t.session.run_all();
    CHECK(later_write->ok());
    CHECK(aborted(later_read));
    CHECK(later_stop->ok());
    CHECK(t.session.all_ended_well());
}

TEST_CASE("a session may be destroyed with jobs outstanding: its writes complete, its handlers are dropped") {
    test_backend shared;
    auto& image = shared.add(test_image::awkward());
    std::weak_ptr<image_device> const watch = image.storage;
    test_session session(shared.shared);
    auto storage = session.add(image);
    auto const data = pattern(block_size, 9);
    session.write(storage, 1, 0, bytes(block_size));
    session.write(storage, 1, 0, data);
    session.read(storage, 0, 0, 100);
    auto const fence = session.stop(storage);
    session.read(storage, 1, 0, 100);
    auto const last = session.stop(storage);
    storage.reset();
    session.io.reset();
    CHECK(image.stream(torrent_offset{64 * kib}, block_size) == data); // its writes were not dropped
    session.poll();
    CHECK(fence->calls == 0);
    CHECK(last->calls == 0);
    CHECK(shared.all_given_back());
    // No job and no storage is left that owns the image.
    shared.shared->remove_image(image.key());
    shared.images.clear();
    CHECK(watch.expired());
}

TEST_CASE("the context runs while jobs are outstanding and ends with the last one") {
    disk_io_test t;
    t.session.context.restart();
    CHECK(t.session.context.run() == 0);
    auto held = t.image.device->hold(operation::read);
    auto const read = t.session.read(t.storage, 0, 0, 100);
    auto const releaser = release_when_waiting(held, 1);
    t.session.context.restart();
    CHECK(t.session.context.run() > 0); // waits for the worker
    CHECK(read->ok());
}

TEST_CASE("a torrent may be removed with jobs outstanding, and its index used again") {
    disk_io_test t;
    auto held = t.image.device->hold(operation::read);
    auto const read = t.session.read(t.storage, 0, 0, 100);
    auto const stop = t.session.stop(t.storage);
    auto const behind = t.session.read(t.storage, 1, 0, 100);
    auto const index = static_cast<lt::storage_index_t>(t.storage);
    t.storage.reset();
    t.storage = t.session.add(t.image);
    CHECK(static_cast<lt::storage_index_t>(t.storage) == index);
    // Its fence is separate.
    auto const fresh = t.session.stop(t.storage);
    t.session.run_until(fresh);
    CHECK_FALSE(stop->done());
    held.release();
    t.session.run_all();
    CHECK(read->ok());
    CHECK(behind->ok());
    CHECK(t.session.all_ended_well());
}

TEST_CASE("the backend outlives its sessions") {
    test_backend shared;
    auto& image = shared.add(test_image::awkward());
    for (std::uint32_t round = 0; round < 3; ++round) {
        test_session session(shared.shared);
        auto const storage = session.add(image);
        auto const read = session.read(storage, 1, 0, block_size);
        session.run_all();
        CHECK(read->data == image.stream(torrent_offset{64 * kib}, block_size));
        auto const write = session.write(storage, 1, 0, pattern(block_size, round));
        session.run_all();
        CHECK(write->ok());
    }
    CHECK(image.stream(torrent_offset{64 * kib}, block_size) == pattern(block_size, 2));
}

TEST_CASE("an image that was removed serves the torrents that have it, and no new one") {
    auto plan = test_image::awkward();
    plan.coalesce = 1024 * kib;
    plan.delay = std::chrono::milliseconds(20);
    disk_io_test t(plan);
    auto const duplicate = t.shared.shared->add_image(t.image.served);
    REQUIRE_FALSE(duplicate);
    CHECK(duplicate.error().message ==
          "the torrent " + t.image.storage->torrent().info_hash.to_hex() + " is already served from fake");
    CHECK(t.shared.shared->find_image(t.image.key()) == t.image.storage);
    t.shared.shared->remove_image(t.image.key());
    t.shared.shared->remove_image(t.image.key());
    CHECK_FALSE(t.shared.shared->find_image(t.image.key()));
    auto const late = t.session.add(t.image);
    auto const old_read = t.session.read(t.storage, 0, 0, 100);
    auto const old_write = t.write(1, 0, 5); // leaves after the delay, although the backend no longer serves the image
    auto const new_read = t.session.read(late, 0, 0, 100);
    t.session.run_all();
    CHECK(old_read->ok());
    CHECK(new_read->code() == ENODEV);
    CHECK(old_write->ok());
    // It may be added again while it is in use.
    auto held = t.image.device->hold(operation::read);
    auto const during = t.session.read(t.storage, 3, 0, 100);
    CHECK(t.shared.shared->add_image(t.image.served));
    held.release();
    t.session.run_all();
    CHECK(during->ok());
}

// --- back-pressure, settings, counters

TEST_CASE("a peer pauses above the high watermark and is woken once below the low one") {
    disk_io_test t;
    t.session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, 4 * block_size);
    t.session.io->settings_updated();
    auto held = t.image.device->hold(operation::write);
    auto const observer = std::make_shared<counting_observer>();
    std::vector<outcome_ptr> writes;
    auto const write = [&](int piece, int start) {
        writes.push_back(t.session.write(t.storage, piece, start, t.block(piece, start, 3), observer));
        return writes.back()->pause;
    };
    for (int i = 0; i < 4; ++i) {
        CHECK_FALSE(write(0, i * block_size));
    }
    CHECK(write(1, 0));
    CHECK(write(1, block_size));
    t.session.poll();
    CHECK(observer->calls == 0);
    std::ptrdiff_t done_when_woken = 0;
    observer->then = [&] {
        done_when_woken = std::ranges::count_if(writes, [](auto const& each) { return each->done(); });
    };
    held.release();
    t.session.run_all();
    CHECK(observer->calls == 1);
    CHECK(done_when_woken >= 3); // 3 blocks of 6 are the most below 7/8 of 4
    CHECK_FALSE(write(0, 0));
    t.session.run_all();
    CHECK(observer->calls == 1);
}

TEST_CASE("writes that fail at once do not count as waiting") {
    disk_io_test t;
    t.session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, 4 * block_size);
    t.session.io->settings_updated();
    auto const unknown = t.session.add(info_hash{});
    bool const ended = GENERATE(false, true);
    for (int i = 0; i < 20; ++i) {
        CHECK_FALSE(t.session.bad_write(t.storage, 0, 0, -100'000)->pause);
        CHECK_FALSE(t.session.bad_write(t.storage, 0, 0, 1 << 30)->pause);
        CHECK_FALSE(t.session.bad_write(unknown, 0, 0, block_size)->pause);
    }
    if (ended) {
        t.session.run_all();
    }
    auto held = t.image.device->hold(operation::write);
    CHECK_FALSE(t.write(0, 0, 1)->pause);
    CHECK_FALSE(t.write(0, block_size, 1)->pause);
    CHECK_FALSE(t.write(0, 2 * block_size, 1)->pause); // three quarters: another torrent exists
    CHECK(t.write(1, 0, 1)->pause);
    held.release();
    t.session.run_all();
}

TEST_CASE("writes behind a fence count as waiting, and failed ones wake their senders") {
    disk_io_test t;
    t.session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, block_size);
    t.session.io->settings_updated();
    t.image.device->fail(operation::write, EIO);
    auto held = t.image.device->hold(operation::read);
    t.session.read(t.storage, 0, 0, 100);
    t.session.stop(t.storage);
    auto const observer = std::make_shared<counting_observer>();
    CHECK_FALSE(t.session.write(t.storage, 0, 0, t.block(0, 0, 3), observer)->pause);
    CHECK(t.session.write(t.storage, 1, 0, t.block(1, 0, 3), observer)->pause);
    held.release();
    t.session.run_all();
    CHECK(observer->calls == 1);
}

TEST_CASE("a sixteenth of the pool is reserved from writes, whatever the session requests") {
    disk_io_test t(test_image::awkward(8), 4 * block_size);
    auto held = t.image.device->hold(operation::write);
    CHECK_FALSE(t.write(0, 0, 1)->pause);
    CHECK_FALSE(t.write(1, 0, 1)->pause);
    CHECK_FALSE(t.write(2, 0, 1)->pause);
    CHECK(t.write(0, block_size, 1)->pause);
    // Data that was already sent has room beyond the pool's size, and so have blocks that a peer waits for.
    t.write(1, block_size, 1);
    auto const read = t.session.read(t.storage, 3, 0, 100);
    t.session.run_until(read);
    CHECK(t.shared.shared->pool().in_use() > 4);
    held.release();
    t.session.run_all();
    CHECK(read->ok());
    CHECK(t.session.all_ended_well());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("counters of finished and waiting jobs") {
    backend_options options;
    options.cache_bytes = 0;
    disk_io_test t(test_image::awkward(8), default_pool, 2, options);
    t.write_piece(0, 1);
    t.session.read(t.storage, 0, 0, block_size);
    t.session.read(t.storage, 3, 0, 100);
    t.session.hash(t.storage, 0);
    t.session.run_all();
    CHECK(t.session.counter(lt::counters::num_blocks_written) == 4);
    CHECK(t.session.counter(lt::counters::num_write_ops) >= 1); // runs
    CHECK(t.session.counter(lt::counters::num_write_ops) <= 4);
    CHECK(t.session.counter(lt::counters::num_blocks_read) == 2);
    CHECK(t.session.counter(lt::counters::num_read_ops) == 2);
    CHECK(t.session.counter(lt::counters::num_blocks_hashed) == 4);
    CHECK(t.session.counter(lt::counters::num_jobs) == 0);
    eventually([&t] { return t.session.counter(lt::counters::disk_blocks_in_use) == 0; });

    auto held = t.image.device->hold(operation::write);
    t.write(1, 0, 2);
    held.wait_until_waiting(1); // otherwise the second one replaces the first
    t.write(1, 0, 3);
    t.session.stop(t.storage);
    t.session.read(t.storage, 0, 0, 100);
    CHECK(t.session.counter(lt::counters::num_write_jobs) == 2);
    CHECK(t.session.counter(lt::counters::num_read_jobs) == 1);
    CHECK(t.session.counter(lt::counters::num_jobs) == 4);
    // A worker may not have left the last job yet.
    eventually([&t] { return t.session.counter(lt::counters::queued_disk_jobs) == 2; });
    CHECK(t.session.counter(lt::counters::disk_blocks_in_use) == 2);
    held.release();
    t.session.run_all();
    CHECK(t.session.counter(lt::counters::num_jobs) == 0);
}

TEST_CASE("the status of a torrent names its extents") {
    bool const read_only = GENERATE(false, true);
    disk_io_test t(test_image::awkward(2, read_only));
    auto const open = t.session.io->get_status(t.storage);
    REQUIRE(open.size() == 8);
    CHECK(open[0].open_mode == (read_only ? lt::file_open_mode::read_only : lt::file_open_mode::read_write));
    CHECK(static_cast<int>(open[7].file_index) == 7);
}

// --- sessions that share a backend

namespace {

struct two_sessions {
    explicit two_sessions(int threads)
        : image(shared.add(test_image::awkward(threads)))
        , first(shared.shared)
        , second(shared.shared)
        , first_storage(first.add(image))
        , second_storage(second.add(image)) {}

    test_backend shared;
    test_image& image;
    test_session first;
    test_session second;
    lt::storage_holder first_storage;
    lt::storage_holder second_storage;
};

} // namespace

TEST_CASE("a session sees the writes that another one has posted") {
    two_sessions t(4);
    auto held = t.image.device->hold(operation::write);
    auto const data = pattern(block_size, 3);
    auto const write = t.first.write(t.first_storage, 1, 0, data);
    auto const read = t.second.read(t.second_storage, 1, 0, block_size);
    t.second.run_until(read);
    CHECK(read->data == data);
    CHECK_FALSE(write->done());
    held.release();
    t.first.run_all();
    CHECK(t.first.all_ended_well());
}

TEST_CASE("each session's handlers run on its own context, even if its write waited for another's") {
    two_sessions t(4);
    auto held = t.image.device->hold(operation::write);
    auto const a = t.first.write(t.first_storage, 1, 0, pattern(block_size, 1));
    held.wait_until_waiting(1);
    auto const b = t.second.write(t.second_storage, 1, 0, pattern(block_size, 2));
    auto const c = t.first.write(t.first_storage, 1, 0, pattern(block_size, 3));
    auto const stop = t.second.stop(t.second_storage);
    held.release();
    t.second.run_all();
    CHECK(b->ok());
    CHECK(stop->ok());
    CHECK_FALSE(a->done());
    t.first.run_all();
    CHECK(a->ok());
    CHECK(c->ok());
    CHECK(t.image.stream(torrent_offset{64 * kib}, block_size) == pattern(block_size, 3));
    CHECK(t.image.device->overlaps() == 0);
    CHECK(t.image.device->accesses(operation::write).size() == 2); // the newest one replaced the second
    CHECK(t.first.counter(lt::counters::num_blocks_written) == 2);
    CHECK(t.second.counter(lt::counters::num_blocks_written) == 1);
    CHECK(t.first.all_ended_well());
    CHECK(t.second.all_ended_well());
}

TEST_CASE("a session's destructor waits for its write that waits for another session's") {
    two_sessions t(4);
    auto held = t.image.device->hold(operation::write);
    auto const a = t.first.write(t.first_storage, 1, 0, pattern(block_size, 1));
    auto const b = t.second.write(t.second_storage, 1, 0, pattern(block_size, 2));
    t.second_storage.reset();
    {
        auto const releaser = release_when_waiting(held, 1);
        t.second.io.reset();
    }
    CHECK(t.image.stream(torrent_offset{64 * kib}, block_size) == pattern(block_size, 2));
    t.first.run_all();
    CHECK(a->ok());
    CHECK(b->calls == 0);
}

TEST_CASE("sessions on separate threads share images, devices and workers") {
    auto const way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    test_backend shared(16 * block_size, 3, way.options());
    auto& image = shared.add(way.applied_to(test_image::awkward()));
    auto const work = [&shared, &image](unsigned seed, int own_piece, bool& ok) {
        std::mt19937 random(seed);
        test_session session(shared.shared);
        auto const storage = session.add(image);
        bytes expected = image.stream(image.storage->stream_offset(piece_index{own_piece}, 0), 64 * kib);
        for (int i = 0; i < 300; ++i) {
            int const start = static_cast<int>(random() % 4) * block_size;
            switch (random() % 4) {
            case 0: {
                auto const data = pattern(block_size, static_cast<std::uint32_t>(random()));
                std::ranges::copy(data, expected.begin() + start);
                session.write(storage, own_piece, start, data);
                break;
            }
            case 1: {
                bytes const wanted(expected.begin() + start, expected.begin() + start + block_size);
                session.read(storage, own_piece, start, block_size)->then = [&ok, wanted](outcome& got) {
                    ok = ok && got.data == wanted;
                };
                // A fence, since a concurrent later write would be seen in part.
                session.stop(storage);
                break;
            }
            case 2:
                session.hash(storage, own_piece)->then = [&ok, wanted = sha1_of(expected)](outcome& got) {
                    ok = ok && got.sha1 == wanted;
                };
                session.stop(storage);
                break;
            default:
                session.read(storage, static_cast<int>(random() % 4), static_cast<int>(random() % 10000), 1000);
                session.poll();
            }
        }
        session.run_all();
        ok = ok && session.all_ended_well();
    };
    bool first = true;
    bool second = true;
    bool third = true;
    {
        std::jthread const a(work, 1U, 0, std::ref(first));
        std::jthread const b(work, 2U, 1, std::ref(second));
        std::jthread const c(work, 3U, 2, std::ref(third));
        for (int i = 1; i < 200; ++i) {
            image.set_threads(i % 4 + 1);
            shared.shared->hash_workers().set_threads(i % 3 + 1);
        }
    }
    CHECK(first);
    CHECK(second);
    CHECK(third);
    CHECK(gaps_untouched(image));
    CHECK(shared.all_given_back());
}

TEST_CASE("the number of threads changes while jobs run") {
    auto const way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    disk_io_test t(test_image::awkward(), way);
    for (int round = 0; round < 100; ++round) {
        t.image.set_threads(round % 5 + 1);
        t.shared.shared->hash_workers().set_threads(round % 3 + 1);
        t.write_piece(round % 4, static_cast<std::uint32_t>(round));
        auto const hash = t.session.hash(t.storage, round % 4);
        auto const wanted = sha1_of(t.written_piece(round % 4, static_cast<std::uint32_t>(round)));
        hash->then = [wanted](outcome& got) { CHECK(got.sha1 == wanted); };
        if (round % 10 == 0) {
            t.session.poll();
        }
        t.session.stop(t.storage);
    }
    t.session.run_all();
    CHECK(t.session.all_ended_well());
}
