// Behaviour without memory: none left in the pool, or none in the system.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <future>
#include <limits>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/error.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/peer_request.hpp>

#include "backend_fixture.hpp"
#include "core/cache/write_coalescer.hpp"
#include "support/failing_allocation.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr int blocks_in_piece = 256;
/// Blocks beyond the pool's size: see memory_share.
constexpr int lent_to_reads = 512;
constexpr int lent_in_passing = 1024;

image_plan large(int pieces) {
    image_plan plan;
    plan.piece_length = blocks_in_piece * block_size;
    plan.extents = {{4096, std::int64_t{pieces} * plan.piece_length}};
    plan.threads = 4;
    return plan;
}

/// A session whose peers keep their blocks until the test releases them.
struct slow_peers {
    explicit slow_peers(int pool_blocks, int pieces)
        : t(large(pieces), std::int64_t{pool_blocks} * block_size) {}

    /// Requests a block's length from offset \p start of the stream.
    void ask(std::int64_t start) {
        auto const piece = static_cast<int>(start / t.image.plan.piece_length);
        auto const within = static_cast<int>(start % t.image.plan.piece_length);
        lt::peer_request const request{lt::piece_index_t{piece}, within, block_size};
        ++asked;
        t.session.io->async_read(
            t.storage, request,
            [this, start](lt::disk_buffer_holder got, lt::storage_error const& error) {
                ++answered;
                if (error) {
                    errors.push_back(error.ec);
                    return;
                }
                auto const* const data = reinterpret_cast<std::byte const*>(got.data());
                wrong += std::equal(data, data + block_size, t.image.initial.begin() + 4096 + start) ? 0 : 1;
                order.push_back(start);
                kept.push_back(std::move(got));
            },
            {});
    }
    /// Runs handlers until \p count have been called.
    void run_until_answered(int count) {
        t.session.run_until([&] { return answered >= count; });
    }
    [[nodiscard]] std::size_t in_use() const { return t.shared.shared->pool().in_use(); }
    [[nodiscard]] bool waiting() const { return t.shared.shared->waiting_for_memory().waiting(); }

    disk_io_test t;
    int asked = 0;
    int answered = 0;
    int wrong = 0;
    std::vector<std::int64_t> order; ///< order of the answers
    std::vector<lt::error_code> errors;
    std::vector<lt::disk_buffer_holder> kept; ///< last: destroyed before the backend
};

} // namespace

// --- the pool is empty

TEST_CASE("reads wait in order while slow peers have all memory, and none is lost") {
    slow_peers peers(64, 3);
    constexpr int most = 64 + lent_to_reads;
    constexpr int all = most + 48;
    static_assert(all <= 3 * blocks_in_piece);
    for (int i = 0; i < all; ++i) {
        peers.ask(std::int64_t{i} * block_size);
    }
    peers.run_until_answered(most);
    eventually([&] { return peers.in_use() == most && peers.waiting(); });
    peers.t.session.poll();
    CHECK(peers.answered == most);
    CHECK(peers.errors.empty());

    // Release one block at a time: with two, two reads would use the device at the same time.
    for (int i = 0; i < all - most; ++i) {
        peers.kept.erase(peers.kept.begin());
        peers.run_until_answered(most + i + 1);
        CHECK(peers.in_use() <= most);
    }
    std::vector<std::int64_t> waited(peers.order.begin() + most, peers.order.end());
    CHECK(std::ranges::is_sorted(waited));
    eventually([&] { return !peers.waiting(); }); // the last read is answered before it is removed
    CHECK(peers.answered == all);
    CHECK(peers.errors.empty());
    CHECK(peers.wrong == 0);
    peers.kept.clear();
    CHECK(peers.t.shared.all_given_back());
}

TEST_CASE("a block in memory is served while other reads wait for memory") {
    slow_peers peers(64, 4);
    for (int i = 0; i < 64 + lent_to_reads + 10; ++i) {
        peers.ask(std::int64_t{i} * block_size);
    }
    peers.run_until_answered(64 + lent_to_reads);
    eventually([&] { return peers.waiting(); });
    peers.ask(0);
    peers.run_until_answered(64 + lent_to_reads + 1);
    CHECK(peers.order.back() == 0);
    peers.kept.clear();
    peers.run_until_answered(peers.asked);
    CHECK(peers.wrong == 0);
}

TEST_CASE("reads of two blocks each wait, too, and stay within their limit") {
    slow_peers peers(64, 8);
    constexpr int all = 1000;
    // All of them request the same two blocks, or each requests two different ones.
    std::int64_t const step = GENERATE(0, 1);
    for (int i = 0; i < all; ++i) {
        peers.ask(step * (i + i / 255) * block_size + 100); // within a piece
    }
    peers.run_until_answered(64 + lent_to_reads - 2);
    eventually([&] { return peers.waiting(); });
    while (peers.answered < all) {
        CHECK(peers.in_use() <= 64 + lent_in_passing);
        peers.kept.erase(peers.kept.begin());
        peers.run_until_answered(std::min(all, peers.answered + 1));
    }
    CHECK(peers.errors.empty());
    CHECK(peers.wrong == 0);
    peers.kept.clear();
    CHECK(peers.t.shared.all_given_back());
}

TEST_CASE("writes, hashes, fences and an abort work while slow peers have all memory") {
    slow_peers peers(64, 4);
    auto& t = peers.t;
    for (int i = 0; i < 2 * (64 + lent_to_reads) - 200; ++i) {
        peers.ask(std::int64_t{i} * block_size);
    }
    peers.run_until_answered(64 + lent_to_reads);
    eventually([&] { return peers.waiting(); });

    auto const written = t.write(3, 255 * block_size, 7);
    t.session.run_until(written);
    CHECK(written->ok());
    auto const hash = t.session.hash(t.storage, 2);
    t.session.run_until(hash);
    CHECK(hash->ok());
    CHECK(hash->sha1 == sha1_of(t.piece(2)));
    CHECK(peers.waiting());

    SECTION("stopping a torrent aborts its reads") {
        auto const stopped = t.session.stop(t.storage);
        t.session.run_until(stopped);
        CHECK(peers.answered == peers.asked);
        CHECK_FALSE(peers.waiting());
        CHECK(peers.errors.size() == static_cast<std::size_t>(peers.asked - 64 - lent_to_reads));
    }
    SECTION("stopping a torrent does not wait for the peers of another") {
        auto const other = t.session.add(t.shared.add(test_image::awkward()));
        auto const waits = t.session.read(other, 0, 0, block_size);
        t.session.poll();
        CHECK_FALSE(waits->done());
        t.session.run_until(t.session.stop(other));
        CHECK(waits->calls == 1);
        CHECK(waits->error.ec == boost::asio::error::operation_aborted);
        CHECK(peers.waiting());
    }
    SECTION("an abort ends them") {
        t.session.io->abort(true);
        t.session.run_until([&] { return peers.answered == peers.asked; });
        CHECK(std::ranges::all_of(peers.errors,
                                  [](auto const& each) { return each == boost::asio::error::operation_aborted; }));
    }
    SECTION("a larger pool serves them") {
        t.shared.shared->resize(4096 * std::int64_t{block_size}, std::nullopt);
        peers.run_until_answered(peers.asked);
        CHECK(peers.errors.empty());
    }
    CHECK(peers.wrong == 0);
    peers.kept.clear();
}

TEST_CASE("a sender pauses when the pool lends too much, however little of that is dirty") {
    constexpr int pool_blocks = 1024;
    slow_peers peers(pool_blocks, 10); // 6 pieces to read, then some to write
    auto& t = peers.t;
    t.session.settings.set_int(lt::settings_pack::max_queued_disk_bytes, std::numeric_limits<int>::max());
    t.session.io->settings_updated();
    for (int i = 0; i < pool_blocks + lent_to_reads; ++i) {
        peers.ask(std::int64_t{i} * block_size);
    }
    peers.run_until_answered(peers.asked);
    CHECK(peers.in_use() == pool_blocks + lent_to_reads);
    auto held = t.image.device->hold(operation::write);
    int written = 0;
    while (!t.write(6 + written / blocks_in_piece, written % blocks_in_piece * block_size, 1)->pause) {
        ++written;
        REQUIRE(written < 2 * lent_in_passing);
    }
    CHECK(written == lent_in_passing - lent_to_reads);
    held.release();
    t.session.run_all();
    // Their memory is no longer needed.
    CHECK(peers.in_use() <=
          pool_blocks + lent_to_reads + 16); // a few free blocks are hard to find among so many in use
    CHECK_FALSE(t.write(9, 255 * block_size, 1)->pause);
    t.session.run_all();
    peers.kept.clear();
    CHECK(t.shared.all_given_back());
}

// --- the system has no memory

TEST_CASE("a failed allocation on a worker fails at most a job, and each handler is called once") {
    auto const way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    int rounds_with_failures = 0;
    for (std::int64_t nth = 0; nth < 60; ++nth) {
        auto const count = nth % 3 == 2 ? 20 : 1; // sometimes many in a row
        CAPTURE(nth, count);
        auto plan = way.applied_to(test_image::awkward());
        disk_io_test t(plan, default_pool, 2, way.options());
        bool written = true;
        {
            failing_allocations const failing(nth, count);
            std::vector<outcome_ptr> writes;
            for (int piece = 0; piece < t.image.pieces(); ++piece) {
                auto const of_piece = t.write_piece(piece, 1000U + static_cast<std::uint32_t>(piece));
                writes.insert(writes.end(), of_piece.begin(), of_piece.end());
                t.session.hash(t.storage, piece);
                t.session.read(t.storage, piece, 100, 2000);
            }
            t.session.stop(t.storage);
            for (int piece = 0; piece < t.image.pieces(); ++piece) {
                t.session.hash(t.storage, piece, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
                t.session.read(t.storage, piece, 0, t.block_length(piece, 0));
            }
            t.session.run_all();
            rounds_with_failures += failing.failed() > 0 ? 1 : 0;
            for (auto const& each : writes) {
                written = written && each->ok();
                CHECK((each->ok() || each->code() == ENOMEM));
            }
        }
        CHECK(t.session.all_ended_well());
        if (written) { // a write that succeeded is on the device
            for (int piece = 0; piece < t.image.pieces(); ++piece) {
                CHECK(t.piece(piece) == t.written_piece(piece, 1000U + static_cast<std::uint32_t>(piece)));
            }
        }
        // Later jobs find memory.
        auto const read = t.session.read(t.storage, 0, 0, t.block_length(0, 0));
        auto const hash = t.session.hash(t.storage, 1);
        t.session.run_all();
        CHECK(read->ok());
        CHECK(hash->ok());
        CHECK(hash->sha1 == sha1_of(t.piece(1)));
        CHECK(t.shared.shared->cache().dirty() == 0);
        CHECK(t.shared.all_given_back());
    }
    CHECK(rounds_with_failures > 5);
}

TEST_CASE("without a buffer for its worker a hash fails with ENOMEM, and the image's error names the piece") {
    backend_options options;
    options.cache_bytes = 0;
    disk_io_test t(test_image::awkward(), default_pool, 2, options);
    outcome_ptr hash;
    {
        failing_allocations const failing(0, 40);
        hash = t.session.hash(t.storage, 1, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
        t.session.run_all();
        CHECK(failing.failed() > 0);
    }
    CHECK(hash->code() == ENOMEM);
    REQUIRE(t.image.storage->first_error());
    CHECK(t.image.storage->first_error()->code == ENOMEM);
    CHECK(t.image.storage->first_error()->length > 0);
    auto const again = t.session.hash(t.storage, 1, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
    t.session.run_all();
    CHECK(again->ok());
}

TEST_CASE("a coalescer without memory loses no block, and hands out none twice") {
    constexpr std::int32_t in_piece = 100;
    constexpr std::int32_t all = 3 * in_piece;
    int rounds_with_failures = 0;
    for (std::int64_t nth = 0; nth < 12; ++nth) {
        CAPTURE(nth);
        write_coalescer coalescer(3, in_piece, in_piece, {8, std::chrono::hours(1)});
        std::vector<block_run> left;
        left.reserve(all);
        std::promise<void> ready;
        std::promise<void> begin;
        std::thread network([&, begun = begin.get_future()] {
            ready.set_value();
            begun.wait();
            for (std::int32_t i = 0; i < all; ++i) {
                auto const block = i * 7 % all; // in no order, pieces mixed
                piece_index const piece{block / in_piece};
                std::vector<block_run> leaving;
                try {
                    coalescer.add(piece, block % in_piece, {}, leaving);
                } catch (std::bad_alloc const&) { // image_io then writes it alone
                    left.push_back({piece, block % in_piece, block % in_piece + 1});
                }
                left.insert(left.end(), leaving.begin(), leaving.end());
                if (i % 50 == 49) {
                    leaving.clear();
                    try {
                        coalescer.take_all(leaving);
                    } catch (std::bad_alloc const&) { // the others still wait
                    }
                    left.insert(left.end(), leaving.begin(), leaving.end());
                }
            }
        });
        ready.get_future().wait();
        {
            failing_allocations const failing(nth, 1 + nth % 4);
            begin.set_value();
            network.join();
            rounds_with_failures += failing.failed() > 0 ? 1 : 0;
        }
        coalescer.take_all(left);
        std::vector<int> times(all, 0);
        for (auto const& run : left) {
            for (auto block = run.begin; block < run.end; ++block) {
                ++times[static_cast<std::size_t>(run.piece.value() * in_piece + block)];
            }
        }
        CHECK(std::ranges::count(times, 1) == all);
        CHECK_FALSE(coalescer.next_due());
    }
    CHECK(rounds_with_failures == 12);
}
