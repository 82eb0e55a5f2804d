#include "core/backend/image_io.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

using access_list = std::vector<fake_block_device::access>;
constexpr auto never = std::chrono::milliseconds(600'000);

/// Collects waiters; the test waits for them.
class collecting_sink final : public waiter_sink {
public:
    struct request : io_waiter {
        int calls = 0;
        int code = 0; ///< errno
        int order = -1;
    };

    request& make() {
        auto& made = m_requests.emplace_back();
        made.sink = this;
        return made;
    }
    void deliver(waiter_list waiters, io_error const* failed) override {
        std::scoped_lock const lock(m_mutex);
        while (!waiters.empty()) {
            auto& ended = static_cast<request&>(*waiters.pop());
            ++ended.calls;
            ended.code = failed != nullptr ? failed->code : 0;
            ended.order = m_ended++;
        }
        m_changed.notify_all();
    }
    void wait_for(request const& what) {
        std::unique_lock lock(m_mutex);
        REQUIRE(m_changed.wait_for(lock, std::chrono::minutes(1), [&] { return what.calls > 0; }));
    }
    [[nodiscard]] bool ended(request const& what) {
        std::scoped_lock const lock(m_mutex);
        return what.calls > 0;
    }

private:
    std::deque<request> m_requests;
    std::mutex m_mutex;
    std::condition_variable m_changed;
    int m_ended = 0;
};
using request = collecting_sink::request;

/// One image of 64 KiB pieces, in one extent unless told otherwise, and its engine.
struct io_test {
    explicit io_test(image_plan const& plan, std::int64_t pool_bytes = default_pool,
                     backend_options options = default_options())
        : shared(pool_bytes, 1, options)
        , image(shared.add(plan))
        , io(image.io()) {}
    ~io_test() {
        io.expedite();
        eventually([this] { return io.progress().pending == 0 && !io.has_unwritten(); });
    }

    [[nodiscard]] static image_plan plan(std::int64_t coalesce, std::chrono::milliseconds delay,
                                         std::int64_t read_ahead = block_size) {
        image_plan made;
        made.extents = {{4096, 256 * kib}};
        made.coalesce = coalesce;
        made.delay = delay;
        made.read_ahead = read_ahead;
        return made;
    }

    request& write(int piece, int block, std::uint32_t seed) {
        auto memory = shared.shared->cache().allocate_for_write();
        auto const length = std::min(block_size, image.piece_size(piece) - block * block_size);
        std::ranges::copy(pattern(static_cast<std::size_t>(length), seed), memory.bytes().begin());
        auto& waiter = sink.make();
        io.write_block(piece_index{piece}, block, std::move(memory), length, waiter);
        return waiter;
    }
    /// Requests a block, which may be available at once.
    request& read(int piece, int block) {
        auto& waiter = sink.make();
        if (block_ref found; io.read_block(piece_index{piece}, block, waiter, found) == read_answer::there) {
            waiter.block = std::move(found);
            waiter_list one;
            one.push(&waiter);
            sink.deliver(one, nullptr);
        }
        return waiter;
    }
    [[nodiscard]] bool holds(request& what, int piece, int block) {
        sink.wait_for(what);
        auto const wanted = image.stream(image.storage->stream_offset(piece_index{piece}, block * block_size),
                                         std::min(block_size, image.piece_size(piece) - block * block_size));
        bool const same = what.block && std::ranges::equal(what.block.bytes().first(wanted.size()), wanted);
        what.block = {};
        return same;
    }
    [[nodiscard]] access_list writes() const { return image.device->accesses(operation::write); }
    [[nodiscard]] access_list reads() const { return image.device->accesses(operation::read); }
    /// The offset of a block, if the image is one extent.
    [[nodiscard]] static std::int64_t at(int piece, int block) { return 4096 + piece * 64 * kib + block * block_size; }

    test_backend shared;
    test_image& image;
    image_io& io;
    collecting_sink sink; ///< may hold blocks of the pool
};

} // namespace

// --- reading

TEST_CASE("a chunk is read once, however many requests arrive at the same time") {
    io_test t(io_test::plan(block_size, never, 64 * kib));
    auto held = t.image.device->hold(operation::read);
    std::vector<request*> asked;
    for (int i = 0; i < 20; ++i) {
        asked.push_back(&t.read(1, i % 4));
    }
    held.wait_until_waiting(1);
    CHECK(std::ranges::none_of(asked, [&t](auto* each) { return t.sink.ended(*each); }));
    held.release();
    for (int i = 0; i < 20; ++i) {
        CHECK(t.holds(*asked[static_cast<std::size_t>(i)], 1, i % 4));
    }
    CHECK(t.reads() == access_list{{operation::read, io_test::at(1, 0), 64 * kib}});
    CHECK(t.holds(t.read(1, 2), 1, 2)); // and is kept
    CHECK(t.reads().size() == 1);
    CHECK(t.image.storage->bytes_read() == 64 * kib);
}

TEST_CASE("a chunk is read once, even if several threads request all of its blocks") {
    io_test t(io_test::plan(block_size, never, 64 * kib));
    auto held = t.image.device->hold(operation::read);
    std::vector<std::vector<std::unique_ptr<collecting_sink>>> sinks(4);
    std::vector<std::vector<request*>> asked(4);
    {
        std::vector<std::jthread> threads;
        for (std::size_t self = 0; self < 4; ++self) {
            threads.emplace_back([&t, &sinks, &asked, self] {
                for (int i = 0; i < 16; ++i) {
                    auto& sink = *sinks[self].emplace_back(std::make_unique<collecting_sink>());
                    auto& waiter = sink.make();
                    block_ref found;
                    if (t.io.read_block(piece_index{i / 4}, i % 4, waiter, found) == read_answer::there) {
                        return; // the size of asked shows the failure
                    }
                    asked[self].push_back(&waiter);
                }
            });
        }
    }
    held.release();
    for (std::size_t self = 0; self < 4; ++self) {
        REQUIRE(asked[self].size() == 16);
        for (std::size_t i = 0; i < 16; ++i) {
            sinks[self][i]->wait_for(*asked[self][i]);
            CHECK(asked[self][i]->calls == 1);
            CHECK(asked[self][i]->block);
            asked[self][i]->block = {};
        }
    }
    CHECK(t.reads().size() == 4);
}

TEST_CASE("read-ahead stays within its chunk and skips blocks that are in memory") {
    io_test t(io_test::plan(block_size, std::chrono::milliseconds(0), 2 * block_size));
    auto& written = t.write(0, 3, 5);
    t.sink.wait_for(written);
    CHECK(t.holds(t.read(0, 1), 0, 1));
    CHECK(t.holds(t.read(0, 2), 0, 2));
    CHECK(t.reads() == access_list{{operation::read, io_test::at(0, 0), 2 * block_size},
                                   {operation::read, io_test::at(0, 2), block_size}});
}

TEST_CASE("read-ahead does not exceed the cache") {
    io_test t(io_test::plan(block_size, never, 64 * kib));
    t.io.cache().set_clean_limit(0);
    CHECK(t.holds(t.read(1, 1), 1, 1));
    t.io.cache().set_clean_limit(2 * block_size);
    CHECK(t.holds(t.read(2, 1), 2, 1));
    CHECK(t.reads() == access_list{{operation::read, io_test::at(1, 1), block_size},
                                   {operation::read, io_test::at(2, 0), 2 * block_size}});
}

TEST_CASE("a bad sector fails only its own block of the chunk") {
    io_test t(io_test::plan(block_size, never, 64 * kib));
    std::vector<io_error> reported;
    t.image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    t.image.device->fail(operation::read, EIO, io_test::at(2, 1) + 100, 1);
    auto held = t.image.device->hold(operation::read);
    std::vector<request*> asked{&t.read(2, 0), &t.read(2, 1), &t.read(2, 3), &t.read(2, 1)};
    held.release();
    for (auto* each : asked) {
        t.sink.wait_for(*each);
    }
    CHECK(t.holds(*asked[0], 2, 0));
    CHECK(asked[1]->code == EIO);
    CHECK_FALSE(asked[1]->block);
    CHECK(t.holds(*asked[2], 2, 3));
    CHECK(asked[3]->code == EIO);
    CHECK(reported.size() == 1);
    CHECK(t.reads().front() == fake_block_device::access{operation::read, io_test::at(2, 0), 64 * kib});
    CHECK(t.reads().size() <= 5); // the chunk, the good ones, and the bad one once or twice
    t.image.device->clear_faults();
    CHECK(t.holds(t.read(2, 1), 2, 1)); // a failed read leaves nothing behind
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a block is written while it is read: earlier reads get the old content, later ones the new") {
    io_test t(io_test::plan(block_size, std::chrono::milliseconds(0), 64 * kib));
    auto const before = t.image.stream({}, block_size);
    auto held = t.image.device->hold(operation::read);
    auto& early = t.read(0, 0);
    held.wait_until_waiting(1);
    auto& written = t.write(0, 0, 9);
    t.sink.wait_for(written);
    auto& late = t.read(0, 0);
    CHECK(t.holds(late, 0, 0));
    held.release();
    t.sink.wait_for(early);
    early.block = {};
    CHECK(t.holds(t.read(0, 0), 0, 0)); // the old content did not replace the new one
    CHECK(t.image.stream({}, block_size) == pattern(block_size, 9));
    CHECK(t.shared.all_given_back());
}

TEST_CASE("reads continue while the whole pool is dirty") {
    io_test t(io_test::plan(1024 * kib, never, 64 * kib), 3 * block_size);
    for (int i = 0; i < 3; ++i) {
        t.write(i, 0, static_cast<std::uint32_t>(i));
    }
    CHECK(t.shared.shared->pool().in_use() == 3);
    CHECK(t.holds(t.read(3, 1), 3, 1));
    CHECK(t.reads() == access_list{{operation::read, io_test::at(3, 1), block_size}}); // nothing ahead
    t.shared.shared->cache().trim();
    CHECK(t.shared.shared->pool().in_use() == 3); // lent blocks are returned
}

// --- when blocks leave

TEST_CASE("adjacent blocks leave in one write, across pieces and extents") {
    auto plan = io_test::plan(1024 * kib, never);
    std::vector<request*> written;
    SECTION("of a piece, in any order of arrival") {
        io_test t(plan);
        for (int const block : {2, 0, 1}) {
            written.push_back(&t.write(1, block, static_cast<std::uint32_t>(block)));
        }
        CHECK(t.writes().empty());
        t.io.expedite();
        for (auto* each : written) {
            t.sink.wait_for(*each);
        }
        CHECK(t.writes() == access_list{{operation::write, io_test::at(1, 0), 3 * block_size}});
        CHECK(t.image.storage->bytes_written() == 3 * block_size);
    }
    SECTION("of two pieces") {
        plan.threads = 1;
        io_test t(plan);
        auto held = t.image.device->hold(operation::read);
        t.read(3, 3); // occupies the only thread
        held.wait_until_waiting(1);
        for (int i = 2; i < 6; ++i) {
            written.push_back(&t.write(i / 4, i % 4, static_cast<std::uint32_t>(i)));
        }
        t.io.expedite();
        held.release();
        for (auto* each : written) {
            t.sink.wait_for(*each);
        }
        CHECK(t.writes() == access_list{{operation::write, io_test::at(0, 2), 4 * block_size}});
    }
    SECTION("with a hole") {
        io_test t(plan);
        written = {&t.write(0, 0, 1), &t.write(0, 2, 2)};
        t.io.expedite();
        for (auto* each : written) {
            t.sink.wait_for(*each);
        }
        auto got = t.writes();
        std::ranges::sort(got, {}, &fake_block_device::access::offset);
        CHECK(got == access_list{{operation::write, io_test::at(0, 0), block_size},
                                 {operation::write, io_test::at(0, 2), block_size}});
    }
    SECTION("one access per extent, and the gaps are left alone") {
        plan.extents = {{512, 20'000}, {24 * kib + 1, 70'001}, {96 * kib, 40'000}};
        io_test t(plan);
        for (int i = 0; i < 4; ++i) {
            written.push_back(&t.write(0, i, static_cast<std::uint32_t>(i)));
        }
        for (auto* each : written) {
            t.sink.wait_for(*each);
        }
        CHECK(t.writes() ==
              access_list{{operation::write, 512, 20'000}, {operation::write, 24 * kib + 1, 64 * kib - 20'000}});
        CHECK(gaps_untouched(t.image));
        bytes expected;
        for (std::uint32_t i = 0; i < 4; ++i) {
            auto const part = pattern(block_size, i);
            expected.insert(expected.end(), part.begin(), part.end());
        }
        CHECK(t.image.stream({}, 64 * kib) == expected);
    }
    SECTION("extents that follow one another on the device are one access") {
        plan.extents = {{4096, 10'000}, {14'096, 60'000}};
        io_test t(plan);
        for (int i = 0; i < 4; ++i) {
            written.push_back(&t.write(0, i, static_cast<std::uint32_t>(i)));
        }
        for (auto* each : written) {
            t.sink.wait_for(*each);
        }
        CHECK(t.writes() == access_list{{operation::write, 4096, 64 * kib}});
    }
}

TEST_CASE("a run is cut at its longest") {
    io_test t(io_test::plan(3 * block_size, never));
    auto& first = t.write(0, 0, 1);
    t.write(0, 1, 1);
    CHECK(t.writes().empty());
    t.write(0, 2, 1); // long enough
    t.sink.wait_for(first);
    CHECK(t.writes() == access_list{{operation::write, io_test::at(0, 0), 3 * block_size}});
    auto& last = t.write(0, 3, 1); // completes the piece
    t.sink.wait_for(last);
    CHECK(t.writes().back() == fake_block_device::access{operation::write, io_test::at(0, 3), block_size});
}

TEST_CASE("a disk with a head that has fallen behind writes more at once, but not without coalescing") {
    auto const coalesce = GENERATE(1, 2);
    auto plan = io_test::plan(coalesce * block_size, std::chrono::milliseconds(0));
    plan.threads = 1;
    plan.elevator = true;
    io_test t(plan);
    auto held = t.image.device->hold(operation::write);
    auto& first = t.write(1, 0, 1);
    held.wait_until_waiting(1);
    std::vector<request*> behind;
    for (int block = 0; block < 8; ++block) {
        behind.push_back(&t.write(2 + block / 4, block % 4, 1));
    }
    held.release();
    t.sink.wait_for(first);
    for (auto* each : behind) {
        t.sink.wait_for(*each);
    }
    auto const writes = t.writes();
    if (coalesce == 1) {
        CHECK(writes.size() == 9);
    } else {
        CHECK(writes == access_list{{operation::write, io_test::at(1, 0), block_size},
                                    {operation::write, io_test::at(2, 0), 8 * block_size}});
    }
}

TEST_CASE("a complete piece leaves, also the last and short one") {
    auto plan = io_test::plan(1024 * kib, never);
    plan.extents = {{4096, 256 * kib + 20'000}};
    io_test t(plan);
    int const piece = GENERATE(2, 4);
    int const count = t.image.storage->blocks_in_piece(piece_index{piece});
    CHECK(count == (piece == 4 ? 2 : 4));
    request* last = nullptr;
    for (int block = count - 1; block >= 0; --block) {
        CHECK(t.writes().empty());
        last = &t.write(piece, block, 3);
    }
    t.sink.wait_for(*last);
    CHECK(t.writes() == access_list{{operation::write, io_test::at(piece, 0), t.image.piece_size(piece)}});
}

TEST_CASE("blocks leave only after the delay") {
    constexpr std::chrono::seconds delay(1); // a busy machine writes two blocks within it
    io_test t(io_test::plan(1024 * kib, delay));
    auto const begin = std::chrono::steady_clock::now();
    auto& first = t.write(0, 0, 1);
    t.write(0, 1, 1);
    t.sink.wait_for(first);
    CHECK(std::chrono::steady_clock::now() - begin >= delay);
    CHECK(t.writes() == access_list{{operation::write, io_test::at(0, 0), 2 * block_size}});
}

TEST_CASE("a shortage of memory makes the blocks of all images leave") {
    auto const plan = io_test::plan(1024 * kib, never);
    io_test t(plan);
    auto other = plan;
    other.seed = 2;
    auto& second = t.shared.add(other);
    auto& first = t.write(0, 0, 1);
    auto memory = t.shared.shared->cache().allocate_for_write();
    std::ranges::copy(pattern(block_size, 7), memory.bytes().begin());
    auto& waiter = t.sink.make();
    second.io().write_block(piece_index{0}, 0, std::move(memory), block_size, waiter);
    t.shared.shared->expedite();
    t.sink.wait_for(first);
    t.sink.wait_for(waiter);
    CHECK(second.stream({}, block_size) == pattern(block_size, 7));
}

TEST_CASE("without coalescing or without a delay, each block leaves at once") {
    auto const coalesce = GENERATE(as<int>{}, block_size, 1024 * kib);
    io_test t(io_test::plan(coalesce, coalesce == block_size ? never : std::chrono::milliseconds(0)));
    for (int block = 0; block < 3; ++block) {
        t.sink.wait_for(t.write(0, block, 1));
    }
    CHECK(t.writes().size() == 3);
}

// --- when_written

TEST_CASE("when_written calls at once if no write waits, and after the last write otherwise") {
    io_test t(io_test::plan(1024 * kib, never));
    int calls = 0;
    t.io.when_written([&calls] { ++calls; });
    CHECK(calls == 1);
    auto held = t.image.device->hold(operation::write);
    auto& first = t.write(0, 0, 1);
    auto& second = t.write(2, 0, 1);
    std::counting_semaphore<> done(0);
    bool both = false;
    t.io.when_written([&] {
        both = t.sink.ended(first) && t.sink.ended(second);
        done.release();
    });
    held.wait_until_waiting(2); // when_written() has made them leave
    CHECK_FALSE(done.try_acquire());
    held.release();
    done.acquire();
    CHECK(both);
    CHECK_FALSE(t.io.has_unwritten());
}

TEST_CASE("when_written does not wait for later writes") {
    io_test t(io_test::plan(1024 * kib, never));
    t.write(0, 0, 1);
    auto held = t.image.device->hold(operation::write);
    std::counting_semaphore<> first(0);
    std::counting_semaphore<> second(0);
    t.io.when_written([&first] { first.release(); });
    held.wait_until_waiting(1);
    auto& late = t.write(1, 0, 1); // stays: nothing makes it leave
    held.release();
    REQUIRE(first.try_acquire_for(std::chrono::minutes(1)));
    CHECK_FALSE(t.sink.ended(late));
    CHECK(t.io.has_unwritten());
    t.io.when_written([&second] { second.release(); });
    REQUIRE(second.try_acquire_for(std::chrono::minutes(1)));
    CHECK(t.sink.ended(late));
}

TEST_CASE("every when_written is called once, in order, under a steady stream of writes") {
    io_test t(io_test::plan(2 * block_size, std::chrono::milliseconds(1)));
    std::atomic<int> calls{0};
    std::vector<int> order;
    std::mutex mutex;
    for (int i = 0; i < 200; ++i) {
        t.write(i % 4, i / 4 % 4, static_cast<std::uint32_t>(i));
        if (i % 3 == 0) {
            t.io.when_written([&, i] {
                std::scoped_lock const lock(mutex);
                order.push_back(i);
                ++calls;
            });
        }
    }
    eventually([&calls] { return calls == 67; });
    CHECK(std::ranges::is_sorted(order));
}

// --- blocks that are written again

TEST_CASE("a block that is written again while it waits is written once, and all its waiters are returned") {
    io_test t(io_test::plan(1024 * kib, never));
    std::vector<request*> written;
    for (std::uint32_t seed = 1; seed <= 3; ++seed) {
        written.push_back(&t.write(0, 1, seed));
    }
    t.io.expedite();
    for (auto* each : written) {
        t.sink.wait_for(*each);
    }
    CHECK(t.writes().size() == 1);
    CHECK(t.image.stream(torrent_offset{block_size}, block_size) == pattern(block_size, 3));
    CHECK(written[0]->order < written[1]->order);
    CHECK(written[1]->order < written[2]->order);
}

TEST_CASE("a block that is written again while it is in flight is written once more, with the newest content") {
    io_test t(io_test::plan(1024 * kib, never));
    auto held = t.image.device->hold(operation::write);
    auto& first = t.write(0, 1, 1);
    t.write(0, 2, 1);
    t.io.expedite();
    held.wait_until_waiting(1);
    auto& second = t.write(0, 1, 2);
    auto& third = t.write(0, 1, 3);
    auto& read = t.read(0, 1);
    t.sink.wait_for(read);
    CHECK(std::ranges::equal(read.block.bytes(), pattern(block_size, 3)));
    read.block = {};
    CHECK(t.writes().size() == 1);
    held.release();
    for (auto* each : {&first, &second, &third}) {
        t.sink.wait_for(*each);
        CHECK(each->code == 0);
    }
    CHECK(first.order < second.order);
    CHECK(t.writes() == access_list{{operation::write, io_test::at(0, 1), 2 * block_size},
                                    {operation::write, io_test::at(0, 1), block_size}});
    CHECK(t.image.stream(torrent_offset{block_size}, block_size) == pattern(block_size, 3));
    CHECK(t.image.device->overlaps() == 0);
    CHECK(t.shared.all_given_back());
}

// --- errors

TEST_CASE("a failed write fails the image, every waiter of its run, and all later writes") {
    io_test t(io_test::plan(1024 * kib, never));
    std::vector<io_error> reported;
    t.image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    t.image.device->fail(operation::write, ENOSPC, io_test::at(0, 1), 1, 1);
    auto held = t.image.device->hold(operation::write);
    std::vector<request*> written{&t.write(0, 0, 1), &t.write(0, 1, 1), &t.write(0, 2, 1)};
    t.io.expedite();
    held.wait_until_waiting(1);
    written.push_back(&t.write(0, 1, 2)); // behind one that is about to fail
    bool called = false;
    std::binary_semaphore done(0);
    t.io.when_written([&] {
        called = true;
        done.release();
    });
    held.release();
    done.acquire();
    CHECK(called);
    written.push_back(&t.write(3, 0, 1));
    t.io.expedite();
    for (auto* each : written) {
        t.sink.wait_for(*each);
        CHECK(each->code == ENOSPC);
        CHECK(each->calls == 1);
    }
    CHECK(t.writes().size() == 1); // the later writes were not attempted
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].offset == io_test::at(0, 0));
    CHECK(t.image.storage->write_failure()->code == ENOSPC);
    CHECK(t.image.device->contents(0, t.image.device->size()) == t.image.initial);
    // Unwritten data does not count as written.
    CHECK(t.holds(t.read(0, 0), 0, 0));
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a failed image does not stop others") {
    auto const plan = io_test::plan(block_size, never);
    io_test t(plan);
    auto other = plan;
    other.seed = 2;
    auto& second = t.shared.add(other);
    t.image.device->fail(operation::write, EIO);
    auto& bad = t.write(0, 0, 1);
    t.sink.wait_for(bad);
    CHECK(bad.code == EIO);
    auto memory = t.shared.shared->cache().allocate_for_write();
    auto& good = t.sink.make();
    second.io().write_block(piece_index{0}, 0, std::move(memory), block_size, good);
    t.sink.wait_for(good);
    CHECK(good.code == 0);
}

TEST_CASE("a new profile applies from the next block on") {
    io_test t(io_test::plan(1024 * kib, never, block_size));
    auto& waits = t.write(0, 0, 1);
    CHECK(t.writes().empty());
    t.io.set_profile(io_test::plan(block_size, never, 64 * kib).profile());
    CHECK(t.io.read_ahead() == 4);
    auto& leaves = t.write(2, 0, 1);
    t.sink.wait_for(leaves);
    CHECK(t.holds(t.read(1, 0), 1, 0));
    CHECK(t.reads() == access_list{{operation::read, io_test::at(1, 0), 64 * kib}});
    t.io.expedite();
    t.sink.wait_for(waits);
}
