// disk_io: reads, writes, hashes and their errors.

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/torrent_info.hpp>

#include "backend_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

image_plan plan_of(std::string const& name) {
    if (name == "hybrid") {
        return test_image::with_padding(torrent_kind::hybrid);
    }
    if (name == "v2") {
        return test_image::with_padding(torrent_kind::v2);
    }
    auto plan = test_image::awkward();
    if (name == "pieces shorter than a block") {
        plan.piece_length = 4 * kib;
    }
    if (name == "piece lengths that are not powers of two") {
        plan.piece_length = 48 * kib;
    }
    return plan;
}

} // namespace

TEST_CASE("a piece of a read-only image that matches the torrent is hashed once for all sessions", "[disk_io]") {
    test_backend shared;
    auto& image = shared.add(test_image::awkward(2, true));
    test_session first(shared.shared);
    test_session second(shared.shared);
    auto const storages = std::array{first.add(image), second.add(image)};
    auto const good = sha1_of(image.stream(image.storage->stream_offset(piece_index{1}, 0), image.piece_size(1)));
    auto const hash = [&](test_session& session, int piece, lt::disk_job_flags_t flags) {
        auto const& storage = storages[&session == &first ? 0 : 1];
        shared.shared->cache().drop_clean(image.io().number()); // otherwise the read would hit the cache
        auto const what = session.hash(storage, piece, flags);
        session.run_until(what);
        CHECK(what->ok());
        return what->sha1;
    };
    // Another program writes to the device.
    auto const put = [&image](int piece, std::uint32_t seed) {
        auto const content = pattern(static_cast<std::size_t>(image.piece_size(piece)), seed);
        auto left = std::span(content);
        for (auto const& slice :
             image.slices(image.storage->stream_offset(piece_index{piece}, 0), image.piece_size(piece))) {
            image.device->set_contents(slice.device_offset, left.first(static_cast<std::size_t>(slice.length)));
            left = left.subspan(static_cast<std::size_t>(slice.length));
        }
        return sha1_of(content);
    };
    auto const served = lt::disk_interface::v1_hash;
    CHECK(hash(first, 1, served) == good);
    auto const other = put(1, 99);
    CHECK(hash(second, 1, served) == good);
    CHECK(hash(second, 1, served | lt::disk_interface::volatile_read) == other); // a full check
    for (std::uint32_t const seed : {98U, 97U}) {
        auto const bad = put(0, seed);
        CHECK(hash(seed == 98 ? first : second, 0, served) == bad);
    }
}

TEST_CASE("written data is on the device and is read back") {
    auto const way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    disk_io_test t(plan_of(GENERATE(as<std::string>(), "v1", "hybrid", "v2", "pieces shorter than a block",
                                    "piece lengths that are not powers of two")),
                   way);
    bytes expected;
    for (int piece = 0; piece < t.image.pieces(); ++piece) {
        t.write_piece(piece, 1000U + static_cast<std::uint32_t>(piece));
        auto const part = t.written_piece(piece, 1000U + static_cast<std::uint32_t>(piece));
        expected.insert(expected.end(), part.begin(), part.end());
    }
    t.session.run_all();
    CHECK(t.image.stream() == expected);
    CHECK(gaps_untouched(t.image));

    std::vector<outcome_ptr> reads;
    for (int piece = 0; piece < t.image.pieces(); ++piece) {
        for (int start = 0; start < t.image.piece_size(piece); start += block_size) {
            reads.push_back(t.session.read(t.storage, piece, start, t.block_length(piece, start)));
        }
    }
    t.session.run_all();
    bytes joined;
    for (auto const& read : reads) {
        CHECK(read->ok());
        joined.insert(joined.end(), read->data.begin(), read->data.end());
    }
    CHECK(joined == expected);
    CHECK(t.session.all_ended_well());
    CHECK(t.shared.shared->cache().dirty() == 0);
    CHECK(t.shared.all_given_back());
    CHECK(t.image.device->overlaps() == 0);
}

TEST_CASE("reads need no alignment and see clean and dirty bytes alike") {
    auto way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    way.threads = 8; // some are held
    disk_io_test t(test_image::awkward(), way);
    bytes expected = t.piece(1);
    auto const held = t.image.device->hold(operation::write);
    auto const second = t.block(1, block_size, 7);
    t.session.write(t.storage, 1, block_size, second);
    std::ranges::copy(second, expected.begin() + block_size);
    auto const [start, length] = GENERATE(table<int, int>({{0, 1},
                                                           {1, 16383},
                                                           {16383, 2},
                                                           {16000, 16384},
                                                           {16384, 16384},
                                                           {20000, 5},
                                                           {32767, 16384},
                                                           {24 * kib, 16384},
                                                           {65535, 1},
                                                           {65536 - 16384, 16384}}));
    auto const read = t.session.read(t.storage, 1, start, length);
    t.session.run_until(read);
    REQUIRE(read->ok());
    CHECK(read->data == bytes(expected.begin() + start, expected.begin() + start + length));
}

TEST_CASE("a read sees every write posted before it while the device holds them, and none after it") {
    disk_io_test t(test_image::awkward(4));
    auto held = t.image.device->hold(operation::write);
    auto const first = t.write(0, 0, 5);
    auto const after_first = t.session.read(t.storage, 0, 0, block_size);
    auto const second = t.write(0, 0, 6);
    auto const after_second = t.session.read(t.storage, 0, 0, block_size);
    t.session.run_until([&] { return after_first->done() && after_second->done(); });
    CHECK(after_first->data == t.block(0, 0, 5));
    CHECK(after_second->data == t.block(0, 0, 6));
    CHECK_FALSE(first->done());
    CHECK_FALSE(second->done());
    held.release();
    t.session.run_all();
    CHECK(t.session.all_ended_well());
}

TEST_CASE("two writes of a block reach the device in the order of posting") {
    disk_io_test t(test_image::awkward(4));
    auto held = t.image.device->hold(operation::write);
    std::vector<outcome_ptr> writes;
    for (std::uint32_t seed = 10; seed < 16; ++seed) {
        writes.push_back(t.write(2, 0, seed));
        held.wait_until_waiting(1); // the first: each of the others replaces the previous one behind it
    }
    // A write of another block shows that workers were free to begin more than the first of these.
    t.write(2, block_size, 1);
    held.wait_until_waiting(2);
    CHECK(t.image.device->accesses(operation::write).size() == 2);
    held.release();
    t.session.run_all();
    CHECK(t.image.stream(t.image.storage->stream_offset(piece_index{2}, 0), block_size) == t.block(2, 0, 15));
    CHECK(t.image.device->overlaps() == 0);
    CHECK(std::ranges::is_sorted(writes, {}, [](auto const& w) { return w->order; }));
    CHECK(std::ranges::all_of(writes, [](auto const& w) { return w->ok(); }));
    // The writes between the first and the last were obsolete when the first had been written.
    auto const parts = t.image.slices(torrent_offset{128 * kib}, block_size).size() * 2 +
                       t.image.slices(torrent_offset{144 * kib}, block_size).size();
    CHECK(t.image.device->accesses(operation::write).size() == parts);
}

TEST_CASE("writes that wait for each other end in order") {
    disk_io_test t(test_image::awkward(4));
    for (std::uint32_t round = 0; round < 300; ++round) {
        auto held = t.image.device->hold(operation::write);
        std::vector<outcome_ptr> writes;
        for (std::uint32_t seed = 0; seed < 4; ++seed) {
            writes.push_back(t.write(2, 0, round * 4 + seed));
        }
        held.release();
        t.session.run_all();
        REQUIRE(std::ranges::is_sorted(writes, {}, [](auto const& w) { return w->order; }));
    }
}

TEST_CASE("a write ends only when it has reached the device") {
    disk_io_test t;
    auto held = t.image.device->hold(operation::write);
    auto const write = t.write(3, 0, 9);
    held.wait_until_waiting(1);
    t.session.poll();
    CHECK_FALSE(write->done());
    write->then = [&t](outcome&) { CHECK(t.piece(3) == t.block(3, 0, 9)); };
    held.release();
    t.session.run_all();
    CHECK(write->ok());
}

TEST_CASE("a hash includes every write posted before it") {
    auto way = GENERATE(from_range(engine_ways()));
    CAPTURE(way);
    way.threads = 8; // some are held
    disk_io_test t(test_image::awkward(), way);
    auto held = t.image.device->hold(operation::write);
    SECTION("of the whole piece: the device is not read") {
        t.write_piece(1, 50);
        auto const hash = t.session.hash(t.storage, 1);
        t.session.run_until(hash);
        CHECK(hash->ok());
        CHECK(hash->sha1 == sha1_of(t.written_piece(1, 50)));
        CHECK(hash->number == 1);
        CHECK(t.image.device->accesses(operation::read).empty());
    }
    SECTION("of one block") {
        auto expected = t.piece(1);
        auto const part = t.block(1, 2 * block_size, 77);
        std::ranges::copy(part, expected.begin() + 2 * block_size);
        t.write(1, 2 * block_size, 77);
        auto const hash = t.session.hash(t.storage, 1);
        t.session.run_until(hash);
        CHECK(hash->sha1 == sha1_of(expected));
    }
    SECTION("of a block: its last content") {
        t.write_piece(1, 50);
        t.write_piece(1, 60);
        auto const hash = t.session.hash(t.storage, 1);
        t.session.run_until(hash);
        CHECK(hash->sha1 == sha1_of(t.written_piece(1, 60)));
    }
    held.release();
    t.session.run_all();
    CHECK(t.session.all_ended_well());
}

TEST_CASE("hashes of pieces larger than a chunk, dirty in some chunks") {
    image_plan plan;
    plan.piece_length = 4096 * kib;
    plan.extents = {{1000, 3000 * kib + 17}, {4000 * kib, 2500 * kib}};
    plan.threads = 8;
    disk_io_test t(plan);
    auto const held = t.image.device->hold(operation::write);
    auto expected = t.piece(0);
    for (int const start : {0, 1024 * kib - block_size, 1024 * kib, 3072 * kib, 4096 * kib - block_size}) {
        std::ranges::copy(t.block(0, start, 3), expected.begin() + start);
        t.write(0, start, 3);
    }
    auto const first = t.session.hash(t.storage, 0);
    auto const last = t.session.hash(t.storage, 1);
    t.session.run_until([&] { return first->done() && last->done(); });
    CHECK(first->sha1 == sha1_of(expected));
    CHECK(last->sha1 == sha1_of(t.piece(1)));
}

TEST_CASE("v2 hashes are those of the files' blocks, without padding") {
    auto const kind = GENERATE(torrent_kind::hybrid, torrent_kind::v2);
    disk_io_test t(test_image::with_padding(kind));
    auto const& files = t.image.storage->torrent().info->orig_files();
    bool const dirty = GENERATE(false, true);
    t.image.set_threads(8);
    auto held = t.image.device->hold(operation::write);
    int padded_pieces = 0;
    for (int piece = 0; piece < t.image.pieces(); ++piece) {
        auto content = t.piece(piece);
        if (dirty) {
            auto const changed = t.block(piece, 0, 31);
            std::ranges::copy(changed, content.begin());
            t.write(piece, 0, 31);
        }
        auto const size = files.piece_size2(lt::piece_index_t{piece});
        padded_pieces += size < t.image.piece_size(piece) ? 1 : 0;
        auto const blocks = files.blocks_in_piece2(lt::piece_index_t{piece});
        auto const flags = kind == torrent_kind::hybrid ? lt::disk_interface::v1_hash : lt::disk_job_flags_t{};
        auto const whole = t.session.hash(t.storage, piece, flags, blocks);
        t.session.run_until(whole);
        REQUIRE(whole->ok());
        if (kind == torrent_kind::hybrid) {
            CHECK(whole->sha1 == sha1_of(content));
        }
        for (int i = 0; i < blocks; ++i) {
            auto const at = static_cast<std::size_t>(i * block_size);
            auto const length = std::min<std::size_t>(block_size, static_cast<std::size_t>(size) - at);
            auto const expected = sha256_of(std::span(content).subspan(at, length));
            CHECK(whole->block_hashes[static_cast<std::size_t>(i)] == expected);
            auto const single = t.session.hash2(t.storage, piece, i * block_size);
            t.session.run_until(single);
            CHECK(single->ok());
            CHECK(single->number == piece);
            CHECK(single->sha256 == expected);
        }
    }
    CHECK(padded_pieces > 1);
    held.release();
    t.session.run_all();
}

TEST_CASE("padding is dropped when written and reads as zeros") {
    disk_io_test t(test_image::with_padding(GENERATE(torrent_kind::hybrid, torrent_kind::v2)));
    REQUIRE(t.image.piece_size(0) == 64 * kib); // 5000 bytes of a file, the rest is padding
    auto const noise = pattern(block_size, 5);
    t.session.write(t.storage, 0, 0, noise);
    t.session.write(t.storage, 0, block_size, noise);
    t.session.run_all();
    CHECK(t.image.device->accesses(operation::write) ==
          std::vector<fake_block_device::access>{{operation::write, 4096, 5000}});
    CHECK(gaps_untouched(t.image));
    if (GENERATE(false, true)) { // of cached data, and of the device
        t.shared.shared->cache().drop_clean(t.image.io().number());
    }
    auto const first = t.session.read(t.storage, 0, 0, block_size);
    auto const second = t.session.read(t.storage, 0, block_size, block_size);
    t.session.run_all();
    CHECK(first->data == without_padding(t.image, {}, noise));
    CHECK(second->data == bytes(block_size));
    CHECK(t.image.storage->bytes_written() == 5000);
}

TEST_CASE("the last block of a v2 torrent's file may be written without its padding") {
    disk_io_test t(test_image::with_padding(GENERATE(torrent_kind::hybrid, torrent_kind::v2)));
    auto const noise = pattern(5000, 5);
    auto const written = t.session.write(t.storage, 0, 0, noise); // all of the first file
    t.session.run_all();
    CHECK(written->ok());
    CHECK(t.image.device->contents(4096, 5000) == noise);
    CHECK(gaps_untouched(t.image));
    for (bool const cached : {true, false}) {
        if (!cached) {
            t.shared.shared->cache().drop_clean(t.image.io().number());
        }
        auto const read = t.session.read(t.storage, 0, 0, block_size);
        auto const hash = t.session.hash2(t.storage, 0, 0);
        t.session.run_all();
        CHECK(read->data == without_padding(t.image, {}, pattern(block_size, 5)));
        CHECK(hash->sha256 == sha256_of(noise));
    }
    auto const shorter = t.session.bad_write(t.storage, 0, 0, 4999);
    auto const second = t.session.bad_write(t.storage, 1, 0, 5000);
    t.session.run_all();
    CHECK(shorter->code() == EINVAL);
    CHECK(second->code() == EINVAL);
}

TEST_CASE("a full check reads the device, and not what the cache remembers of it") {
    disk_io_test t(test_image::awkward());
    auto const check = lt::disk_interface::v1_hash | lt::disk_interface::volatile_read;
    t.write_piece(1, 3);
    auto const read = t.session.read(t.storage, 0, 0, block_size);
    t.session.run_all();
    REQUIRE(read->ok());
    for (int const piece : {0, 1}) {
        auto const place = t.image.slices(torrent_offset{piece * 64 * kib}, 1).front().device_offset;
        t.image.device->set_contents(place, pattern(1, 77)); // another program
        auto const hash = t.session.hash(t.storage, piece, check);
        t.session.run_all();
        CHECK(hash->sha1 == sha1_of(t.piece(piece)));
        auto const served = t.session.read(t.storage, piece, 0, block_size);
        t.session.run_all();
        auto const now = t.piece(piece);
        CHECK(served->data == bytes(now.begin(), now.begin() + block_size));
    }
}

TEST_CASE("a wanted piece is written as a whole, also over an extent of priority 0") {
    disk_io_test t(test_image::awkward());
    auto const set = t.session.priorities(t.storage);
    t.session.run_all();
    REQUIRE(set->ok());
    t.write_piece(0, 9); // of several extents
    t.session.run_all();
    CHECK(t.piece(0) == t.written_piece(0, 9));
}

// --- errors

TEST_CASE("the errno of a failed read reaches its handler, and the image's handler once") {
    disk_io_test t;
    std::vector<io_error> reported;
    t.image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    t.image.device->fail(operation::read, EIO);
    std::vector<outcome_ptr> const failed{t.session.read(t.storage, 0, 0, 100), t.session.hash(t.storage, 1),
                                          t.session.hash2(t.storage, 2, 0), t.session.read(t.storage, 3, 0, 5)};
    t.session.run_all();
    for (auto const& each : failed) {
        CHECK(each->code() == EIO);
        CHECK(each->error.operation == lt::operation_t::file_read);
        CHECK(each->data.empty());
    }
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].code == EIO);
    CHECK(reported[0].device == "fake");
    CHECK(t.image.storage->first_error()->code == EIO);

    t.image.device->clear_faults();
    auto const read = t.session.read(t.storage, 0, 0, 100);
    auto const write = t.write(0, 0, 3);
    t.session.run_all();
    CHECK(read->ok());
    CHECK(write->ok()); // a failed read does not stop writes
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a hash fails for an error in any of its chunks, and the next one is correct") {
    image_plan plan;
    plan.piece_length = 4096 * kib;
    plan.extents = {{0, 4096 * kib}};
    disk_io_test t(plan);
    t.image.device->fail(operation::read, EIO, GENERATE(0, 1500 * kib, 4096 * kib - 1), 1);
    auto const failed = t.session.hash(t.storage, 0);
    t.session.run_all();
    CHECK(failed->code() == EIO);
    t.image.device->clear_faults();
    auto const good = t.session.hash(t.storage, 0);
    t.session.run_all();
    CHECK(good->sha1 == sha1_of(t.piece(0)));
}

TEST_CASE("the first error of a write fails every later one") {
    disk_io_test t(test_image::awkward(1));
    std::vector<io_error> reported;
    t.image.storage->set_error_handler([&reported](io_error const& e) { reported.push_back(e); });
    t.image.device->fail(operation::write, ENOSPC, 0, fake_block_device::everything, 1);
    auto held = t.image.device->hold(operation::write);
    auto const first = t.write(1, 0, 3);
    auto const second = t.write(1, block_size, 4);
    held.release();
    t.session.run_all();
    CHECK(first->code() == ENOSPC);
    CHECK(first->error.operation == lt::operation_t::file_write);
    CHECK(second->code() == ENOSPC);
    auto const third = t.write(1, 0, 5);
    t.session.run_all();
    CHECK(third->code() == ENOSPC);
    CHECK(t.image.device->accesses(operation::write).size() == 1);
    CHECK(t.image.device->contents(0, t.image.device->size()) == t.image.initial);
    REQUIRE(reported.size() == 1);
    CHECK(reported[0].operation == io_operation::write);
    // The image still reads its content.
    auto const read = t.session.read(t.storage, 1, 0, block_size);
    t.session.run_all();
    CHECK(read->data == t.image.stream(torrent_offset{64 * kib}, block_size)); // and not the failed write
    CHECK(t.shared.shared->cache().dirty() == 0);
}

TEST_CASE("after a failed write and a stop, as libtorrent makes before it resumes, writes are tried again") {
    disk_io_test t(test_image::awkward(1));
    t.image.device->fail(operation::write, ENOSPC, 0, fake_block_device::everything, 1);
    auto const lost = t.write(1, 0, 3); // with the beginning of a hash
    t.session.run_all();
    CHECK(lost->code() == ENOSPC);
    t.session.stop(t.storage);
    t.session.run_all();
    CHECK(t.image.storage->flush().error().code == ENOSPC); // nothing has been written since

    auto const hash = [&] {
        auto const outcome = t.session.hash(t.storage, 1);
        t.session.run_all();
        return outcome->sha1;
    };
    auto const next = t.write(1, block_size, 4);
    t.session.run_all();
    CHECK(next->ok());
    CHECK(hash() == sha1_of(t.piece(1))); // not of the lost block
    t.write_piece(1, 5);
    t.session.run_all();
    CHECK(t.piece(1) == t.written_piece(1, 5));
    CHECK(hash() == sha1_of(t.written_piece(1, 5)));
    CHECK(t.image.storage->flush());
}

TEST_CASE("hashes of lost blocks do not count when writes are tried again") {
    image_plan plan;
    plan.piece_length = 512 * kib;
    plan.extents = {{4096, 512 * kib}};
    disk_io_test t(plan);
    t.image.device->fail(operation::write, EIO);
    auto held = t.image.device->hold(operation::write);
    for (int block = 0; block < 16; ++block) { // enough for a worker to hash them at once
        t.write(0, block * block_size, 3);
    }
    eventually([&t] { return t.shared.shared->hash_workers().current_progress().pending == 0; });
    held.release();
    t.session.run_all();
    t.image.device->clear_faults();
    t.session.stop(t.storage);
    auto const next = t.write(0, 20 * block_size, 4);
    t.session.run_all();
    CHECK(next->ok());
    auto const hash = t.session.hash(t.storage, 0);
    t.session.run_all();
    CHECK(hash->sha1 == sha1_of(t.piece(0)));
}

TEST_CASE("a failed flush is final, also after a stop") {
    disk_io_test t(test_image::awkward(1));
    t.image.device->fail(operation::flush, EIO);
    CHECK_FALSE(t.image.storage->flush());
    t.session.stop(t.storage);
    auto const write = t.write(1, 0, 3);
    t.session.run_all();
    CHECK(write->code() == EIO);
    CHECK(t.image.storage->flush().error().code == EIO);
}

TEST_CASE("a failed write does not delay the next write of its block") {
    disk_io_test t(test_image::awkward(2));
    auto held = t.image.device->hold(operation::write);
    t.image.device->fail(operation::write, EIO);
    std::vector<outcome_ptr> const writes{t.write(0, 0, 1), t.write(0, 0, 2), t.write(0, 0, 3)};
    auto const stop = t.session.stop(t.storage);
    held.release();
    t.session.run_all();
    for (auto const& write : writes) {
        CHECK(write->code() == EIO);
    }
    CHECK(stop->ok());
    CHECK(t.session.all_ended_well());
}

TEST_CASE("writes to a read-only device fail with EROFS before they reach it") {
    disk_io_test t(test_image::awkward(2, true));
    auto const write = t.write(0, 0, 1);
    t.session.run_all();
    CHECK(write->code() == EROFS);
    CHECK_FALSE(write->pause);
    CHECK(t.image.device->accesses().empty());
    CHECK_FALSE(t.image.storage->first_error());
    CHECK(t.session.all_ended_well());
}

TEST_CASE("operations on an unknown torrent fail with ENODEV") {
    disk_io_test t;
    auto const unknown = t.session.add(info_hash{});
    std::vector<outcome_ptr> const failing{
        t.session.read(unknown, 0, 0, 100), t.session.bad_write(unknown, 0, 0, block_size),
        t.session.hash(unknown, 0),         t.session.hash2(unknown, 0, 0),
        t.session.check(unknown),           t.session.priorities(unknown)};
    std::vector<outcome_ptr> const ending{t.session.stop(unknown), t.session.release(unknown),
                                          t.session.clear(unknown, 0)};
    t.session.run_all();
    for (auto const& each : failing) {
        CHECK(each->code() == ENODEV);
    }
    CHECK(failing[4]->status == lt::status_t::fatal_disk_error);
    CHECK_FALSE(failing[1]->pause);
    CHECK(std::ranges::all_of(ending, [](auto const& each) { return each->calls == 1; }));
    CHECK(t.session.io->get_status(unknown).empty());
    CHECK(t.session.all_ended_well());
}

TEST_CASE("requests beyond the piece or the torrent fail with EINVAL and change nothing") {
    disk_io_test t;
    int const pieces = t.image.pieces();
    int const last = t.image.piece_size(pieces - 1);
    constexpr int max = std::numeric_limits<int>::max();
    for (auto const& [piece, start, length] :
         std::vector<std::array<int, 3>>{{-1, 0, block_size},
                                         {pieces, 0, block_size},
                                         {max, 0, block_size},
                                         {0, -1, 100},
                                         {0, -block_size, block_size},
                                         {0, 64 * kib, 1},
                                         {0, 64 * kib, block_size},
                                         {0, 64 * kib - block_size, block_size + 1},
                                         {0, max, block_size},
                                         {0, 0, 0},
                                         {0, 0, -1},
                                         {0, 0, -(1 << 30)},
                                         {0, 0, block_size + 1},
                                         {0, block_size, max},
                                         {pieces - 1, 0, last + 1},
                                         {pieces - 1, last, 1}}) {
        CAPTURE(piece, start, length);
        auto const read = t.session.read(t.storage, piece, start, length);
        auto const write = t.session.bad_write(t.storage, piece, start, length);
        t.session.run_all();
        CHECK(read->code() == EINVAL);
        CHECK(write->code() == EINVAL);
        CHECK_FALSE(write->pause);
    }
    // Writes that libtorrent never makes, and whose order could not be guaranteed.
    for (auto const& [start, length] :
         std::vector<std::array<int, 2>>{{1, 100}, {0, 100}, {8192, 8192}, {8192, block_size}}) {
        auto const write = t.session.bad_write(t.storage, 0, start, length);
        t.session.run_all();
        CHECK(write->code() == EINVAL);
    }
    for (int const piece : {-1, pieces, max}) {
        auto const hash = t.session.hash(t.storage, piece);
        auto const hash2 = t.session.hash2(t.storage, piece, 0);
        t.session.run_all();
        CHECK(hash->code() == EINVAL);
        CHECK(hash2->code() == EINVAL);
    }
    for (int const offset : {-1, -block_size, 1, 64 * kib, max}) {
        auto const hash2 = t.session.hash2(t.storage, 0, offset);
        t.session.run_all();
        CHECK(hash2->code() == EINVAL);
    }
    CHECK(t.image.device->accesses().empty());
    CHECK_FALSE(t.image.storage->first_error());
    CHECK(t.session.all_ended_well());
    CHECK(t.shared.all_given_back());
}

TEST_CASE("too little room for the block hashes is EINVAL") {
    disk_io_test t(test_image::with_padding(torrent_kind::v2));
    auto const hash = t.session.hash(t.storage, 1, {}, 3);
    t.session.run_all();
    CHECK(hash->code() == EINVAL);
}
