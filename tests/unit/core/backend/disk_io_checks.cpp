// disk_io: reads that wait until their piece has been compared with the torrent.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/error.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/peer_request.hpp>

#include "backend_fixture.hpp"
#include "core/image/piece_errors.hpp"
#include "support/failing_allocation.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// A read-only image whose pieces are compared with the torrent before they are read, and two sessions.
struct checked_reads_test {
    explicit checked_reads_test(image_plan const& plan = test_image::awkward(2, true), int hash_threads = 2,
                                backend_options options = default_options())
        : shared(default_pool, hash_threads, options)
        , image(shared.add(plan)) {
        image.served->verify_before_reads();
        image.storage->set_error_handler([this](io_error const& e) { reported.push_back(e); });
    }
    /// Another program writes to the device.
    void damage(int piece) {
        auto const at = image.slices(image.storage->stream_offset(piece_index{piece}, 0), 1).front().device_offset;
        image.device->set_contents(at, std::array{~image.initial.at(static_cast<std::size_t>(at))});
    }
    std::vector<outcome_ptr> read_piece(test_session& session, lt::storage_index_t storage, int piece) {
        std::vector<outcome_ptr> posted;
        for (int start = 0; start < image.piece_size(piece); start += block_size) {
            posted.push_back(
                session.read(storage, piece, start, std::min(block_size, image.piece_size(piece) - start)));
        }
        return posted;
    }
    [[nodiscard]] bytes content(int piece) const {
        return image.stream(image.storage->stream_offset(piece_index{piece}, 0), image.piece_size(piece));
    }
    static bytes joined(std::vector<outcome_ptr> const& reads) {
        bytes all;
        for (auto const& each : reads) {
            all.insert(all.end(), each->data.begin(), each->data.end());
        }
        return all;
    }

    test_backend shared;
    test_image& image;
    std::vector<io_error> reported;
};

} // namespace

TEST_CASE("a piece is compared with the torrent before the first read of it") {
    checked_reads_test t;
    test_session first(t.shared.shared);
    test_session second(t.shared.shared);
    auto const storages = std::array{first.add(t.image), second.add(t.image)};
    auto const wanted = sha1_of(t.content(1));
    t.damage(1);
    // libtorrent asks for the hash of each piece that peers request, and need not wait for it.
    auto const promised = first.hash(storages[0], 1);
    auto const bad = t.read_piece(first, storages[0], 1);
    auto const good = t.read_piece(first, storages[0], 0);
    auto const others = t.read_piece(second, storages[1], 0);
    first.run_all();
    second.run_all();
    CHECK(promised->ok());
    CHECK(promised->sha1 == wanted);
    for (auto const& each : bad) {
        CHECK(each->code() == piece_differs);
        CHECK(each->data.empty());
    }
    CHECK(t.joined(good) == t.content(0));
    CHECK(t.joined(others) == t.content(0));
    REQUIRE(t.reported.size() == 1);
    CHECK(t.reported[0].code == piece_differs);
    CHECK(t.reported[0].length == t.image.piece_size(1));
    // A full check reads the device.
    auto const full = first.hash(storages[0], 1, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
    auto const again = t.read_piece(first, storages[0], 1);
    first.run_all();
    CHECK(full->sha1 == sha1_of(t.content(1)));
    CHECK(full->sha1 != wanted);
    CHECK(again[0]->code() == piece_differs);
    CHECK(first.all_ended_well());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a read of a piece that cannot be compared with the torrent fails, and is tried again") {
    checked_reads_test t;
    test_session session(t.shared.shared);
    auto const storage = session.add(t.image);
    t.image.device->fail(operation::read, EIO);
    auto const failed = session.read(storage, 0, 0, 100);
    session.run_all();
    CHECK(failed->code() == EIO);
    REQUIRE(t.reported.size() == 1);
    CHECK(t.reported[0].code == EIO);
    t.image.device->clear_faults();
    auto const good = t.read_piece(session, storage, 0);
    session.run_all();
    CHECK(t.joined(good) == t.content(0));
}

TEST_CASE("reads that wait for the comparison with the torrent end when the torrent is stopped") {
    checked_reads_test t;
    auto const stopped = GENERATE(true, false);
    std::vector<outcome_ptr> reads;
    {
        test_session session(t.shared.shared);
        auto const storage = session.add(t.image);
        auto held = t.image.device->hold(operation::read);
        for (int piece = 0; piece < t.image.pieces(); ++piece) {
            reads.push_back(session.read(storage, piece, 0, 100));
        }
        if (stopped) {
            auto const stop = session.stop(storage);
            session.run_until(stop);
        } else {
            session.io->abort(false);
            session.run_until(reads.back());
        }
        for (auto const& each : reads) {
            CHECK(each->error.ec == boost::asio::error::operation_aborted);
        }
        held.release();
        auto const again = t.read_piece(session, storage, 0);
        session.run_all();
        CHECK(t.joined(again) == (stopped ? t.content(0) : bytes{}));
        CHECK(session.all_ended_well());
    }
    CHECK(t.reported.empty());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("reads that wait for the comparison with the torrent end when the torrent is removed, or deleted") {
    checked_reads_test t;
    auto const owners = t.image.served.use_count();
    {
        test_session session(t.shared.shared);
        auto storage = session.add(t.image);
        auto held = t.image.device->hold(operation::read);
        auto const first = session.read(storage, 0, 0, 100);
        auto const second = session.read(storage, 1, 0, 100);
        SECTION("removed") {
            storage = {};
        }
        SECTION("deleted, and a read behind that") {
            auto const deleted = session.erase(storage);
            auto const behind = session.read(storage, 2, 0, 100);
            auto const stop = session.stop(storage);
            session.run_until(stop);
            CHECK(deleted->done());
            CHECK(behind->error.ec == boost::asio::error::operation_aborted);
        }
        session.run_until(second);
        CHECK(first->error.ec == boost::asio::error::operation_aborted);
        CHECK(second->error.ec == boost::asio::error::operation_aborted);
        held.release();
        session.run_all();
        CHECK(session.all_ended_well());
    }
    CHECK(t.image.served.use_count() == owners);
    CHECK(t.reported.empty());
}

TEST_CASE("only the pieces of v1 torrents on read-only devices are compared in the backend") {
    test_backend shared;
    auto const hybrid = GENERATE(false, true);
    auto plan = hybrid ? test_image::with_padding(torrent_kind::hybrid) : test_image::awkward();
    plan.read_only = hybrid;
    auto& image = shared.add(plan);
    image.served->verify_before_reads();
    CHECK_FALSE(image.served->verifies_before_reads());
}

TEST_CASE("a session ends while a piece is compared with the torrent") {
    checked_reads_test t;
    auto const owners = t.image.served.use_count();
    auto held = t.image.device->hold(operation::read);
    std::thread release;
    {
        test_session session(t.shared.shared);
        auto const storage = session.add(t.image);
        static_cast<void>(session.read(storage, 0, 0, 100));
        static_cast<void>(session.hash(storage, 1));
        held.wait_until_waiting();
        release = std::thread([&held] { held.release(); });
    }
    release.join();
    CHECK(t.image.served.use_count() == owners);
    CHECK(t.reported.empty());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a read of parts of two blocks waits for the comparison of its piece, too") {
    checked_reads_test t;
    test_session session(t.shared.shared);
    auto const storage = session.add(t.image);
    auto const [start, length] =
        GENERATE(table<int, int>({{100, block_size}, {block_size - 1, 2}, {3 * block_size - 1, block_size}}));
    t.damage(2); // outside of what is read
    auto held = t.image.device->hold(operation::read);
    auto const good = session.read(storage, 1, start, length);
    auto const bad = session.read(storage, 2, start, length);
    held.wait_until_waiting();
    held.release();
    session.run_all();
    auto const piece = t.content(1);
    CHECK(good->ok());
    CHECK(good->data == bytes(piece.begin() + start, piece.begin() + start + length));
    CHECK(bad->code() == piece_differs);
    CHECK(bad->data.empty());
    CHECK(session.all_ended_well());
    CHECK(t.shared.all_given_back());
}

// --- the device hangs

namespace {

/// The device does not answer: the check of piece 0 keeps the only hash worker waiting, that of piece 1 has been
/// parked, and that of piece 2 has not begun.
struct parked_check_test : checked_reads_test {
    parked_check_test()
        : checked_reads_test(test_image::awkward(2, true), 1) {
        for (int piece = 0; piece < 3; ++piece) {
            auto const whole = read_piece(*session, storage, piece);
            reads.insert(reads.end(), whole.begin(), whole.end());
            reads.push_back(session->read(storage, piece, 100, block_size));
        }
        auto plan = test_image::awkward();
        plan.seed = 2;
        auto const other = session->add(shared.add(plan));
        // The worker that replaces the waiting one begins this after the check, and does not park it.
        auto const hash = session->hash(other, 1);
        session->run_until(hash);
        REQUIRE(std::ranges::none_of(reads, [](auto const& each) { return each->done(); }));
    }
    /// Whether nothing of the torrent is left when the session has ended.
    [[nodiscard]] bool all_let_go() {
        storage.reset();
        session.reset();
        return image.served.use_count() == owners && shared.all_given_back();
    }

    long const owners = image.served.use_count();
    std::optional<test_session> session{shared.shared};
    lt::storage_holder storage = session->add(image);
    std::vector<outcome_ptr> reads;
    fake_block_device::held_operations held = image.device->hold(operation::read);
};

} // namespace

TEST_CASE("reads whose comparison is parked end when the device answers") {
    parked_check_test t;
    auto const with_memory = GENERATE(true, false);
    t.damage(2);
    {
        std::optional<failing_allocations> failing;
        if (!with_memory) {
            failing.emplace(0, 40);
        }
        t.held.release();
        t.session->run_all();
    }
    for (auto const& each : t.reads) {
        CHECK((each->ok() || each->code() == piece_differs || (each->code() == ENOMEM && !with_memory)));
    }
    auto const later = t.read_piece(*t.session, t.storage, 1);
    auto const bad = t.session->read(t.storage, 2, 0, 100);
    t.session->run_all();
    CHECK(t.joined(later) == t.content(1));
    CHECK(bad->code() == piece_differs);
    if (with_memory) {
        CHECK(t.joined({t.reads.begin() + 5, t.reads.begin() + 9}) == t.content(1));
        CHECK(std::ranges::count_if(t.reads, [](auto const& each) { return each->ok(); }) == 10); // of pieces 0 and 1
    }
    CHECK(t.session->all_ended_well());
    CHECK(t.all_let_go());
}

TEST_CASE("reads whose comparison is parked are aborted with their torrent or their session") {
    parked_check_test t;
    outcome_ptr again;
    SECTION("the torrent is removed") {
        t.storage.reset();
    }
    SECTION("the torrent is stopped, and started again") {
        auto const stop = t.session->stop(t.storage);
        t.session->run_until(stop);
        again = t.session->read(t.storage, 1, 0, block_size);
    }
    SECTION("the session is aborted") {
        t.session->io->abort(false);
    }
    t.session->run_until([&t] { return std::ranges::all_of(t.reads, [](auto const& each) { return each->done(); }); });
    for (auto const& each : t.reads) {
        CHECK(each->error.ec == boost::asio::error::operation_aborted);
    }
    t.held.release();
    t.session->run_all();
    if (again) {
        auto const piece = t.content(1);
        CHECK(again->data == bytes(piece.begin(), piece.begin() + block_size));
    }
    CHECK(t.session->all_ended_well());
    CHECK(t.reported.empty());
    CHECK(t.all_let_go());
}

TEST_CASE("a session ends while a comparison is parked") {
    parked_check_test t;
    std::thread release([&t] { t.held.release(); });
    auto const all_let_go = t.all_let_go();
    release.join();
    CHECK(all_let_go);
    CHECK(std::ranges::none_of(t.reads, [](auto const& each) { return each->done(); }));
    CHECK(t.reported.empty());
}

// --- there is no memory

TEST_CASE("a piece is compared while the pool is full, and its reads end once there are blocks") {
    checked_reads_test t;
    test_session session(t.shared.shared);
    auto const storage = session.add(t.image);
    auto& shared = *t.shared.shared;
    std::vector<block_ref> others;
    while (auto block = shared.cache().allocate_block(memory_share::read)) {
        others.push_back(std::move(block));
    }
    auto const reads = t.read_piece(session, storage, 0);
    auto const of_two = session.read(storage, 1, 100, block_size);
    session.run_until([&shared] { return shared.waiting_for_memory().waiting(); });
    session.poll();
    CHECK(std::ranges::none_of(reads, [](auto const& each) { return each->done(); }));
    CHECK_FALSE(of_two->done());
    others.clear();
    session.run_all();
    auto const second = t.content(1);
    CHECK(t.joined(reads) == t.content(0));
    CHECK(of_two->data == bytes(second.begin() + 100, second.begin() + 100 + block_size));
    CHECK(session.all_ended_well());
    CHECK(t.reported.empty());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("reads of a piece that a worker has no memory to compare fail, and it is compared at the next one") {
    checked_reads_test t;
    test_session session(t.shared.shared);
    auto const storage = session.add(t.image);
    std::vector<outcome_ptr> failed;
    {
        failing_allocations const failing(0, 40);
        failed = t.read_piece(session, storage, 0);
        session.run_all();
    }
    for (auto const& each : failed) {
        CHECK(each->code() == ENOMEM);
    }
    CHECK(t.reported.empty()); // a report would end the image
    auto const again = t.read_piece(session, storage, 0);
    session.run_all();
    CHECK(t.joined(again) == t.content(0));
    CHECK(session.all_ended_well());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a failed allocation on a worker fails at most reads of the pieces that it compares") {
    auto const way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    int rounds_with_failures = 0;
    for (std::int64_t nth = 0; nth < 20; ++nth) {
        auto const count = nth % 3 == 2 ? 20 : 1; // sometimes many in a row
        CAPTURE(nth, count);
        checked_reads_test t(way.applied_to(test_image::awkward(2, true)), 2, way.options());
        test_session session(t.shared.shared);
        auto const storage = session.add(t.image);
        auto const read_all = [&] {
            std::vector<std::vector<outcome_ptr>> posted;
            for (int piece = 0; piece < t.image.pieces(); ++piece) {
                session.hash(storage, piece);
                posted.push_back(t.read_piece(session, storage, piece));
            }
            session.run_all();
            return posted;
        };
        {
            failing_allocations const failing(nth, count);
            for (auto const& piece : read_all()) {
                for (auto const& each : piece) {
                    CHECK((each->ok() || each->code() == ENOMEM));
                }
            }
            rounds_with_failures += failing.failed() > 0 ? 1 : 0;
        }
        auto const later = read_all();
        for (int piece = 0; piece < t.image.pieces(); ++piece) {
            CHECK(t.joined(later[static_cast<std::size_t>(piece)]) == t.content(piece));
        }
        CHECK(session.all_ended_well());
        CHECK(t.shared.all_given_back());
    }
    CHECK(rounds_with_failures > 5);
}

TEST_CASE("a read that finds no memory to begin a comparison fails, and the next one begins it") {
    std::int64_t failures = 0;
    for (std::int64_t nth = 0; nth < 12; ++nth) {
        CAPTURE(nth);
        checked_reads_test t;
        test_session session(t.shared.shared);
        auto const storage = session.add(t.image);
        // Leaves one job to reuse, for the read: that of the check is new.
        session.hash(storage, 1, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
        session.run_all();
        int calls = 0;
        lt::storage_error error;
        std::function<void(lt::disk_buffer_holder, lt::storage_error const&)> handler =
            [&](lt::disk_buffer_holder const&, lt::storage_error const& ended) {
                ++calls;
                error = ended;
            };
        {
            std::optional<failing_allocations> failing;
            std::thread([&] { failing.emplace(nth, 1); }).join(); // so that they fail on this thread, too
            session.io->async_read(storage, {lt::piece_index_t{0}, 0, 100}, std::move(handler), {});
            failures += failing->failed();
        }
        session.run_until([&calls] { return calls > 0; });
        CHECK((!error || error.ec.value() == ENOMEM));
        auto const later = t.read_piece(session, storage, 0);
        session.run_all();
        CHECK(t.joined(later) == t.content(0));
        CHECK(calls == 1);
        CHECK(t.reported.empty());
        CHECK(t.shared.all_given_back());
    }
    CHECK(failures > 3);
}

TEST_CASE("a hash is promised even if there is no memory to note that its piece is to be compared") {
    auto plan = test_image::awkward(2, true);
    plan.piece_length = block_size;
    plan.extents = {{4096, 140 * block_size}}; // more pieces than the queue has room for at first
    checked_reads_test t(plan);
    test_session session(t.shared.shared);
    auto const storage = session.add(t.image);
    session.hash(storage, 0, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
    session.run_all(); // leaves one job to reuse
    auto held = t.image.device->hold(operation::read);
    int wrong = 0;
    for (int piece = 0; piece < t.image.pieces(); ++piece) {
        int calls = 0;
        std::function<void(lt::piece_index_t, lt::sha1_hash const&, lt::storage_error const&)> handler =
            [&, wanted = sha1_of(t.content(piece))](lt::piece_index_t, lt::sha1_hash const& got,
                                                    lt::storage_error const& error) {
                ++calls;
                wrong += error || got != wanted ? 1 : 0;
            };
        {
            std::optional<failing_allocations> failing;
            // Not the first one, which copies the handler.
            std::thread([&] { failing.emplace(1, 1); }).join();
            session.io->async_hash(storage, lt::piece_index_t{piece}, {}, lt::disk_interface::v1_hash,
                                   std::move(handler));
        }
        session.run_until([&calls] { return calls > 0; });
    }
    held.release();
    CHECK(wrong == 0);
    auto const stop = session.stop(storage);
    session.run_until(stop);
    auto const last = t.read_piece(session, storage, t.image.pieces() - 1);
    session.run_all();
    CHECK(t.joined(last) == t.content(t.image.pieces() - 1));
    CHECK(t.shared.all_given_back());
}
