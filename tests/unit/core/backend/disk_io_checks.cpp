// disk_io: reads that wait until their piece has been compared with the torrent.

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>
#include <vector>

#include <boost/asio/error.hpp>
#include <catch2/catch.hpp>

#include "backend_fixture.hpp"
#include "core/image/piece_errors.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

/// A read-only image whose pieces are compared with the torrent before they are read, and two sessions.
struct checked_reads_test {
    explicit checked_reads_test(std::int64_t pool_bytes = default_pool)
        : shared(pool_bytes) {
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
    test_image& image = shared.add(test_image::awkward(2, true));
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
