#include "core/backend/piece_hasher.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <semaphore>
#include <vector>

#include <catch2/catch.hpp>

#include "backend_fixture.hpp"
#include "core/image/sha1.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr std::int32_t chunk_bytes = 1024 * kib;
constexpr std::int32_t blocks_in_chunk = chunk_bytes / block_size;

image_plan one_extent(std::int64_t length) {
    image_plan plan;
    plan.piece_length = 4 * chunk_bytes;
    plan.extents = {{4096, length}};
    plan.threads = 4;
    plan.read_ahead = chunk_bytes;
    return plan;
}

/// Writes through disk_io, so that the hasher gets the same calls at the same times as in use.
struct hasher_test {
    explicit hasher_test(std::int64_t length, std::int64_t pool_bytes = 64LL << 20, bool ahead = true)
        : t(one_extent(length), pool_bytes, 1, options(ahead)) {}

    static backend_options options(bool ahead) {
        backend_options made;
        made.hashing.ahead = ahead;
        return made;
    }
    void write(int block, std::uint32_t seed) { t.write(0, block * block_size, seed); }
    /// Returns when the hasher's worker has finished its jobs.
    void settle() {
        t.session.run_all();
        std::binary_semaphore ran(0);
        t.shared.shared->hash_workers().submit([&ran] { ran.release(); });
        ran.acquire();
    }
    /// Empties the cache: blocks that are not hashed yet must be read back.
    void evict() { t.shared.shared->cache().drop_clean(t.image.io().number()); }
    [[nodiscard]] lt::sha1_hash hash() {
        auto const got = t.session.hash(t.storage, 0);
        t.session.run_all();
        REQUIRE(got->ok());
        return got->sha1;
    }
    [[nodiscard]] std::int64_t bytes_read() const {
        std::int64_t sum = 0;
        for (auto const& each : t.image.device->accesses(operation::read)) {
            sum += each.length;
        }
        return sum;
    }

    disk_io_test t;
};

lt::sha1_hash hash_now(test_image& image, bool keep = true) {
    lt::sha1_hash digest;
    piece_hash_request request;
    request.v1 = true;
    request.keep = keep;
    REQUIRE(image.served->hasher().hash(request, digest));
    return digest;
}

} // namespace

TEST_CASE("pieces around the size of a chunk") {
    auto const length =
        GENERATE(1, chunk_bytes - 1, chunk_bytes, chunk_bytes + 1, 2 * chunk_bytes, 3 * chunk_bytes + 5);
    bool const keep = GENERATE(false, true);
    test_backend shared;
    auto& image = shared.add(one_extent(length));
    CHECK(hash_now(image, keep) == sha1_of(image.stream()));
    CHECK(image.device->accesses(operation::read).size() ==
          static_cast<std::size_t>((length + chunk_bytes - 1) / chunk_bytes));
    CHECK(image.storage->bytes_read() == length);
    CHECK(shared.shared->cache().stats().clean == (keep ? (length + block_size - 1) / block_size : 0));
    CHECK(hash_now(image, keep) == sha1_of(image.stream()));
    CHECK(image.storage->bytes_read() == (keep ? length : 2 * length));
    CHECK(shared.all_given_back());
}

TEST_CASE("a piece is read at once from a disk with a head, if memory for two is available") {
    bool const head = GENERATE(false, true);
    auto const pool = GENERATE(64LL << 20, 5LL << 20);
    auto plan = one_extent(3 * chunk_bytes);
    plan.elevator = head;
    test_backend shared(pool);
    auto& image = shared.add(plan);
    CHECK(hash_now(image) == sha1_of(image.stream()));
    CHECK(image.device->accesses(operation::read).size() == (head && pool > 2 * 3 * chunk_bytes ? 1 : 3));
    CHECK(image.storage->bytes_read() == 3 * chunk_bytes);
}

TEST_CASE("an empty request reads nothing") {
    test_backend shared;
    auto& image = shared.add(one_extent(chunk_bytes));
    lt::sha1_hash digest;
    REQUIRE(image.served->hasher().hash({}, digest));
    CHECK(digest == lt::sha1_hash{});
    CHECK(image.device->accesses().empty());
}

TEST_CASE("block hashes alone read only up to the end of the file") {
    test_backend shared;
    auto& image = shared.add(one_extent(2 * chunk_bytes));
    auto const size = chunk_bytes + 20 * kib;
    std::vector<lt::sha256_hash> blocks(blocks_in_chunk + 2);
    piece_hash_request request;
    request.block_hashes = blocks;
    request.v2_size = size;
    request.keep = GENERATE(false, true);
    lt::sha1_hash digest;
    REQUIRE(image.served->hasher().hash(request, digest));
    CHECK(image.storage->bytes_read() == chunk_bytes + 2 * block_size);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        auto const at = static_cast<std::int64_t>(i) * block_size;
        CHECK(blocks[i] == sha256_of(image.stream(torrent_offset{at}, std::min<std::int64_t>(block_size, size - at))));
    }
}

TEST_CASE("blocks that are in memory are not read, holes are") {
    hasher_test h(2 * chunk_bytes, 64LL << 20, false);
    auto profile = h.t.image.plan.profile();
    profile.coalesce = 16 * chunk_bytes;
    profile.delay = std::chrono::minutes(10);
    h.t.image.served->set_profile(profile); // they stay dirty
    auto expected = h.t.image.stream();
    std::vector<int> missing;
    SECTION("the whole first chunk") {}
    SECTION("but its last block") {
        missing = {blocks_in_chunk - 1};
    }
    SECTION("but one in the middle") {
        missing = {7};
    }
    SECTION("but its first") {
        missing = {0};
    }
    for (int block = 0; block < blocks_in_chunk; ++block) {
        if (std::ranges::find(missing, block) == missing.end()) {
            h.write(block, static_cast<std::uint32_t>(block));
            std::ranges::copy(h.t.block(0, block * block_size, static_cast<std::uint32_t>(block)),
                              expected.begin() + block * block_size);
        }
    }
    auto const hash = h.t.session.hash(h.t.storage, 0);
    h.t.session.run_until(hash);
    CHECK(hash->sha1 == sha1_of(expected));
    CHECK(h.bytes_read() == chunk_bytes + static_cast<std::int64_t>(missing.size()) * block_size);
    CHECK(h.t.image.device->accesses(operation::write).empty());
    h.t.image.io().expedite();
    h.t.session.run_all();
}

TEST_CASE("a volatile hash uses blocks in memory and reads the rest past the cache") {
    disk_io_test t(one_extent(chunk_bytes));
    auto held = t.image.device->hold(operation::write);
    auto expected = t.image.stream();
    std::ranges::copy(t.block(0, 5 * block_size, 3), expected.begin() + 5 * block_size);
    t.write(0, 5 * block_size, 3);
    auto const hash = t.session.hash(t.storage, 0, lt::disk_interface::v1_hash | lt::disk_interface::volatile_read);
    t.session.run_until(hash);
    CHECK(hash->sha1 == sha1_of(expected));
    CHECK(t.shared.shared->cache().stats().clean == 0);
    held.release();
    t.session.run_all();
}

TEST_CASE("an error ends the hash at once and leaves nothing behind for the next one") {
    test_backend shared;
    auto& image = shared.add(one_extent(4 * chunk_bytes));
    bool const keep = GENERATE(false, true);
    image.device->fail(operation::read, EIO, 4096 + chunk_bytes, 1);
    piece_hash_request request;
    request.v1 = true;
    request.keep = keep;
    lt::sha1_hash digest;
    auto const failed = image.served->hasher().hash(request, digest);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == EIO);
    CHECK(failed.error().offset == 4096 + chunk_bytes);
    CHECK(digest == lt::sha1_hash{});
    CHECK(image.storage->bytes_read() < 3 * chunk_bytes);
    image.device->clear_faults();
    CHECK(hash_now(image, keep) == sha1_of(image.stream()));
    CHECK(shared.all_given_back());
}

TEST_CASE("one block's hash") {
    disk_io_test t(test_image::awkward(8));
    auto& hasher = t.image.served->hasher();
    lt::sha256_hash digest;
    REQUIRE(hasher.hash_block(piece_index{0}, 1, 100, digest));
    CHECK(digest == sha256_of(t.image.stream(torrent_offset{block_size}, 100)));
    auto held = t.image.device->hold(operation::write);
    t.write(0, block_size, 5);
    REQUIRE(hasher.hash_block(piece_index{0}, 1, block_size, digest));
    CHECK(digest == sha256_of(pattern(block_size, 5)));
    held.release();
    t.session.run_all();
    t.image.device->fail(operation::read, EIO);
    CHECK_FALSE(hasher.hash_block(piece_index{0}, 2, 100, digest));
}

// --- hashing ahead

TEST_CASE("a piece that arrives in order has its hash when it is complete, even if it is no longer in memory") {
    bool const ahead = GENERATE(false, true);
    auto const length = GENERATE(2 * chunk_bytes, chunk_bytes + 100, 16 * block_size, 5);
    hasher_test h(length, 64LL << 20, ahead);
    h.t.write_piece(0, 7);
    h.settle();
    h.evict();
    CHECK(h.hash() == sha1_of(h.t.written_piece(0, 7)));
    CHECK(h.bytes_read() == (ahead ? 0 : length));
    // A hash is used once.
    h.evict();
    CHECK(h.hash() == sha1_of(h.t.written_piece(0, 7)));
    CHECK(h.bytes_read() == (ahead ? length : 2 * length));
}

TEST_CASE("a full check reads the device, even if the piece was hashed ahead") {
    hasher_test h(2 * chunk_bytes);
    h.t.write_piece(0, 7);
    h.settle();
    h.evict();
    CHECK(hash_now(h.t.image, false) == sha1_of(h.t.written_piece(0, 7)));
    CHECK(h.bytes_read() == 2 * chunk_bytes);
}

TEST_CASE("a piece that arrives out of order is hashed from memory, or as far as it was in order") {
    hasher_test h(2 * chunk_bytes);
    int const blocks = 2 * blocks_in_chunk;
    SECTION("backwards") {
        for (int block = blocks - 1; block >= 0; --block) {
            h.write(block, static_cast<std::uint32_t>(block * block_size));
        }
        h.settle();
        CHECK(h.hash() == sha1_of(h.t.written_piece(0, 0)));
        CHECK(h.bytes_read() == 0);
    }
    SECTION("with the 40th block last") {
        for (int block = 0; block < blocks; ++block) {
            if (block != 40) {
                h.write(block, static_cast<std::uint32_t>(block * block_size));
            }
        }
        h.settle();
        h.evict();
        h.write(40, 40U * block_size);
        h.settle();
        h.evict();
        CHECK(h.hash() == sha1_of(h.t.written_piece(0, 0)));
        // The worker was woken for 32 blocks and may have seen more; at the end it finds the 41st, but none after it.
        CHECK(h.bytes_read() >= (blocks - 41) * block_size);
        CHECK(h.bytes_read() <= (blocks - 32) * block_size);
    }
    SECTION("in two halves, the second first") {
        for (int i = 0; i < blocks; ++i) {
            int const block = (i + blocks_in_chunk) % blocks;
            h.write(block, static_cast<std::uint32_t>(block * block_size));
        }
        h.settle();
        h.evict();
        CHECK(h.hash() == sha1_of(h.t.written_piece(0, 0)));
        CHECK(h.bytes_read() == 0);
    }
}

TEST_CASE("a block that is written again after it was hashed ahead counts with its new content") {
    hasher_test h(2 * chunk_bytes);
    h.t.write_piece(0, 7);
    h.settle();
    auto expected = h.t.written_piece(0, 7);
    int const block = GENERATE(0, 1, 63, 64, 127);
    h.write(block, 999);
    std::ranges::copy(h.t.block(0, block * block_size, 999), expected.begin() + block * block_size);
    SECTION("at once") {}
    SECTION("when all is written") {
        h.settle();
    }
    SECTION("when nothing is in memory") {
        h.settle();
        h.evict();
    }
    CHECK(h.hash() == sha1_of(expected));
}

TEST_CASE("a piece that is sent twice is hashed ahead the second time, too") {
    hasher_test h(2 * chunk_bytes);
    h.t.write_piece(0, 7);
    h.settle();
    h.t.write_piece(0, 8);
    h.settle();
    h.evict();
    CHECK(h.hash() == sha1_of(h.t.written_piece(0, 8)));
    CHECK(h.bytes_read() == 0);
}

TEST_CASE("blocks that are evicted before they are hashed are read back") {
    // A pool of 8 blocks cannot hold the 16 blocks that wake a worker.
    hasher_test h(2 * chunk_bytes, 8 * block_size);
    std::binary_semaphore go(0);
    h.t.shared.shared->hash_workers().submit([&go] { go.acquire(); });
    h.t.write_piece(0, 7);
    h.t.session.run_until([&h] { return h.t.shared.shared->cache().dirty() == 0; });
    go.release();
    h.settle();
    CHECK(h.hash() == sha1_of(h.t.written_piece(0, 7)));
    CHECK(h.bytes_read() > chunk_bytes);
    CHECK(h.t.shared.all_given_back());
}

TEST_CASE("a forgotten piece is hashed from the device") {
    hasher_test h(2 * chunk_bytes);
    h.t.write_piece(0, 7);
    h.settle();
    h.evict();
    h.t.image.served->hasher().ahead().forget(piece_index{0});
    h.t.image.served->hasher().ahead().forget(piece_index{0});
    CHECK(h.hash() == sha1_of(h.t.written_piece(0, 7)));
    CHECK(h.bytes_read() == 2 * chunk_bytes);
}

TEST_CASE("after a failed write a hash includes only data on the device") {
    hasher_test h(2 * chunk_bytes);
    auto const before = h.t.image.stream();
    h.t.image.device->fail(operation::write, EIO);
    h.t.write_piece(0, 7);
    h.settle();
    CHECK(h.hash() == sha1_of(before));
}

TEST_CASE("pieces arrive, are hashed and arrive again while workers come and go") {
    image_plan plan;
    plan.piece_length = 64 * block_size;
    plan.extents = {{1000, 8 * 64 * block_size - 777}};
    plan.threads = 3;
    plan.coalesce = 16 * block_size;
    plan.delay = std::chrono::milliseconds(1);
    disk_io_test t(plan, 100 * block_size, 3);
    for (std::uint32_t round = 0; round < 60; ++round) {
        int const piece = static_cast<int>(round * 5 % 8);
        t.write_piece(piece, round * 100'000);
        auto const wanted = sha1_of(t.written_piece(piece, round * 100'000));
        t.session.hash(t.storage, piece)->then = [wanted](outcome& got) { CHECK(got.sha1 == wanted); };
        if (round % 8 == 7) {
            t.session.run_all();
            t.session.forget_ended();
        }
        t.shared.shared->hash_workers().set_threads(static_cast<int>(round % 3) + 1);
    }
    t.session.run_all();
    CHECK(t.shared.all_given_back());
}

TEST_CASE("if pieces arrive quickly, every second one waits to be hashed with the next") {
    if (!sha1_in_lanes()) {
        return; // pairing has no advantage here
    }
    image_plan plan = one_extent(4 * 4 * chunk_bytes);
    // Two of these pieces are an eighth of the pool, or more than may wait.
    auto const enough = GENERATE(true, false);
    backend_options options;
    options.hashing.longest_wait = std::chrono::seconds(60); // this machine may be slow: every piece counts as fast
    disk_io_test t(plan, enough ? 64LL << 20 : 16LL << 20, 1, options);
    auto const write = [&t](int piece, std::uint32_t seed) {
        t.write_piece(piece, seed);
        t.session.run_all();
        std::binary_semaphore ran(0); // the only worker has finished its jobs
        t.shared.shared->hash_workers().submit([&ran] { ran.release(); });
        ran.acquire();
    };
    auto const hash = [&t](int piece) {
        auto const got = t.session.hash(t.storage, piece);
        t.session.run_all();
        REQUIRE(got->ok());
        return got->sha1;
    };
    auto const evict = [&t] { t.shared.shared->cache().drop_clean(t.image.io().number()); };
    write(0, 1); // sets the rate of arrival
    CHECK(hash(0) == sha1_of(t.written_piece(0, 1)));
    auto const none = t.image.storage->bytes_read();

    SECTION("neither is hashed before both have arrived") {
        write(1, 2);
        write(2, 3);
        evict();
        CHECK(hash(1) == sha1_of(t.written_piece(1, 2)));
        CHECK((t.image.storage->bytes_read() > none) == enough);
    }
    SECTION("both are hashed at the time of the first") {
        write(1, 2);
        write(2, 3);
        CHECK(hash(1) == sha1_of(t.written_piece(1, 2)));
        evict();
        CHECK(hash(2) == sha1_of(t.written_piece(2, 3)));
        CHECK(t.image.storage->bytes_read() == none);
    }
    SECTION("a piece that never completes, or is written again, does not delay other pieces") {
        t.write(1, 0, 2);
        t.session.run_all();
        t.image.served->hasher().ahead().forget(piece_index{1});
        write(2, 3);
        write(3, 4);
        CHECK(hash(3) == sha1_of(t.written_piece(3, 4)));
        write(2, 5);
        write(0, 6); // otherwise it would wait for the maximum time
        CHECK(hash(2) == sha1_of(t.written_piece(2, 5)));
        CHECK(t.image.storage->bytes_read() == none);
    }
    CHECK(t.shared.all_given_back());
}

TEST_CASE("pieces that arrive side by side are hashed together, each as it was written") {
    image_plan plan;
    plan.piece_length = 128 * block_size;
    plan.extents = {{1000, 8 * 128 * block_size - 777}};
    plan.threads = 3;
    auto const threads = GENERATE(1, 3);
    disk_io_test t(plan, 64LL << 20, threads);
    for (std::uint32_t round = 0; round < 6; ++round) {
        int const first = static_cast<int>(round % 3);
        int const count = static_cast<int>(round % 5) + 2;
        for (int start = 0; start < plan.piece_length; start += block_size) {
            for (int piece = first; piece < std::min(first + count, 8); ++piece) {
                if (start < t.image.piece_size(piece)) {
                    t.write(piece, start, round * 100'000 + static_cast<std::uint32_t>(start + piece));
                }
            }
        }
        for (int piece = first; piece < std::min(first + count, 8); ++piece) {
            auto const wanted = sha1_of(t.written_piece(piece, round * 100'000 + static_cast<std::uint32_t>(piece)));
            t.session.hash(t.storage, piece)->then = [wanted](outcome& got) { CHECK(got.sha1 == wanted); };
        }
        t.session.run_all();
        t.session.forget_ended();
    }
    CHECK(t.shared.all_given_back());
}

TEST_CASE("a device that hangs does not keep other images from being hashed") {
    test_backend shared(64LL << 20, 2);
    auto& hanging = shared.add(test_image::awkward(8));
    auto plan = test_image::awkward();
    plan.seed = 2;
    auto& other = shared.add(plan);
    test_session session(shared.shared);
    auto const of_hanging = session.add(hanging);
    auto const of_other = session.add(other);
    auto const flags =
        lt::disk_interface::v1_hash | GENERATE(lt::disk_job_flags_t{}, lt::disk_interface::volatile_read);
    auto held = hanging.device->hold(operation::read);
    std::vector<outcome_ptr> hang;
    for (int i = 0; i < 12; ++i) {
        hang.push_back(session.hash(of_hanging, i % hanging.pieces(), flags));
    }
    held.wait_until_waiting(1);
    auto const hash = session.hash(of_other, 1, flags);
    session.run_until(hash);
    CHECK(hash->ok());
    CHECK(std::ranges::none_of(hang, [](auto const& each) { return each->done(); }));
    held.release();
    session.run_all();
    CHECK(std::ranges::all_of(hang, [](auto const& each) { return each->ok(); }));
    CHECK(session.all_ended_well());
    CHECK(shared.all_given_back());
}
