// disk_io over loop devices: both engines, with and without the page cache.

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "backend_fixture.hpp"
#include "core/device/file_block_device.hpp"
#include "support/loop_device.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

bytes device_bytes(block_device& device) {
    bytes all(static_cast<std::size_t>(device.size()));
    REQUIRE(device.read_medium(0, all));
    return all;
}

struct real_way {
    io_engine_kind engine;
    bool direct;
    bool registered;
    unsigned sector;
};

/// An image whose torrent is that of a fake device, on a loop device with the same content.
class real_test {
public:
    real_test(real_way const& way, std::vector<extent> extents, std::int64_t pool_bytes, std::int32_t piece_length,
              std::int64_t read_ahead)
        : m_loop({.size = (extents.back().device_offset + extents.back().length + (1 << 20)) >> 20 << 20,
                  .block_size = way.sector}) {
        auto options = default_options();
        options.register_memory = way.registered;
        shared = std::make_shared<backend>(pool_bytes, 2, options);
        image_plan plan;
        plan.extents = std::move(extents);
        plan.piece_length = piece_length;
        test_image const torrent_of(plan);
        m_initial = torrent_of.initial;

        device_requirements wanted;
        wanted.writable = true;
        wanted.direct_io = way.direct;
        auto opened = open_block_device(m_loop.path(), wanted);
        REQUIRE(opened);
        device = opened->get();
        m_initial.resize(static_cast<std::size_t>(device->size()));
        REQUIRE(device->write(0, m_initial));
        REQUIRE(device->flush());

        io_profile profile;
        profile.io_engine = way.engine;
        profile.threads = 4;
        profile.queue_depth = 8;
        profile.coalesce = 256 * kib;
        profile.delay = std::chrono::milliseconds(2);
        profile.read_ahead = read_ahead;
        auto built = shared->make_image(torrent_of.storage->torrent(), std::move(*opened), profile);
        REQUIRE(built);
        storage = std::move(*built);
        REQUIRE(shared->add_image(storage));
        session = std::make_unique<test_session>(shared);
        holder = session->add(backend::key_of(storage->torrent()));
        expected = m_initial;
    }

    [[nodiscard]] int pieces() const { return storage->torrent().piece_count; }
    [[nodiscard]] int blocks(int piece) const { return storage->blocks_in_piece(piece_index{piece}); }
    [[nodiscard]] int length(int piece, int block) const {
        return std::min(block_size, storage->piece_size(piece_index{piece}) - block * block_size);
    }
    outcome_ptr write(int piece, int block, std::uint32_t seed) {
        auto const data = pattern(static_cast<std::size_t>(length(piece, block)), seed);
        auto rest = std::span<std::byte const>(data);
        storage->torrent().extents.for_each_slice(storage->stream_offset(piece_index{piece}, block * block_size),
                                                  length(piece, block), [&](extent const& slice) {
                                                      auto const size = static_cast<std::size_t>(slice.length);
                                                      std::copy_n(rest.begin(), size,
                                                                  expected.begin() + slice.device_offset);
                                                      rest = rest.subspan(size);
                                                  });
        return session->write(holder, piece, block * block_size, data);
    }
    [[nodiscard]] bytes stream(int piece) const {
        bytes joined;
        storage->torrent().extents.for_each_slice(storage->stream_offset(piece_index{piece}, 0),
                                                  storage->piece_size(piece_index{piece}), [&](extent const& slice) {
                                                      auto const from = expected.begin() + slice.device_offset;
                                                      joined.insert(joined.end(), from, from + slice.length);
                                                  });
        return joined;
    }
    /// Whether the device holds the expected bytes, gaps included, past the page cache.
    [[nodiscard]] bool device_is_right() const {
        REQUIRE(storage->flush());
        return device_bytes(*device) == expected;
    }

private:
    loop_device m_loop;
    bytes m_initial;

public:
    std::shared_ptr<backend> shared;
    block_device* device = nullptr;
    std::shared_ptr<served_image> storage;
    std::unique_ptr<test_session> session;
    lt::storage_holder holder;
    bytes expected; ///< of the whole device
};

/// Extents with gaps, all of whose offsets and lengths are multiples of \p unit.
std::vector<extent> unaligned(std::int64_t unit, std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<extent> made;
    std::int64_t at = unit;
    while (at < (3LL << 20)) {
        auto const most = std::int64_t{random() % 3 == 0 ? 300 * kib : 24 * kib} / unit;
        auto const length = (1 + static_cast<std::int64_t>(random()) % most) * unit;
        made.push_back({at, length});
        at += length + static_cast<std::int64_t>(random() % 4) * unit * (random() % 8 == 0 ? 17 : 1);
        if (made.back().device_offset + made.back().length == at) {
            at += unit; // not two adjacent extents
        }
    }
    return made;
}

std::vector<real_way> real_ways() {
    std::vector<real_way> ways;
    for (auto const engine : {io_engine_kind::threads, io_engine_kind::io_uring}) {
        for (bool const direct : {false, true}) {
            ways.push_back({engine, direct, engine == io_engine_kind::io_uring, 512});
        }
    }
    ways.push_back({io_engine_kind::io_uring, true, false, 512});
    ways.push_back({io_engine_kind::io_uring, true, true, 4096});
    return ways;
}

std::string name_of(real_way const& way) {
    return std::string(to_string(way.engine)) + (way.direct ? " direct" : " cached") +
           (way.registered ? " registered" : "") + " " + std::to_string(way.sector);
}

} // namespace

TEST_CASE("whole pieces in random order on real devices") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const way = GENERATE(from_range(real_ways()));
    auto const unit = GENERATE(512, 1024, 4096, 333);
    CAPTURE(name_of(way), unit);
    // A pool that is smaller than the pieces in progress: blocks are lent, evicted and read back.
    real_test t(way, unaligned(unit, static_cast<std::uint32_t>(unit)), 50 * block_size, 512 * kib, 128 * kib);
    if (t.storage->io().ring_refused() != 0) {
        WARN("SKIPPED: no io_uring here");
        return;
    }
    CHECK(t.storage->io().engine() == std::string(way.engine == io_engine_kind::threads ? "threads" : "io_uring"));
    std::mt19937 random(7);
    std::vector<std::pair<int, int>> order;
    for (int piece = 0; piece < t.pieces(); ++piece) {
        for (int block = 0; block < t.blocks(piece); ++block) {
            order.emplace_back(piece, block);
        }
    }
    // Two pieces at a time, their blocks mixed.
    for (std::size_t at = 0; at < order.size(); at += 64) {
        std::shuffle(order.begin() + static_cast<long>(at),
                     order.begin() + static_cast<long>(std::min(at + 64, order.size())), random);
    }
    std::vector<int> left;
    for (int piece = 0; piece < t.pieces(); ++piece) {
        left.push_back(t.blocks(piece));
    }
    std::vector<std::pair<int, outcome_ptr>> hashes;
    for (auto const& [piece, block] : order) {
        t.write(piece, block, static_cast<std::uint32_t>(random()));
        if (random() % 4 == 0) {
            t.session->read(t.holder, piece, block * block_size, t.length(piece, block));
        }
        if (--left[static_cast<std::size_t>(piece)] == 0) {
            hashes.emplace_back(piece, t.session->hash(t.holder, piece));
        }
        if (random() % 16 == 0) {
            t.session->poll();
        }
    }
    t.session->run_all();
    CHECK(t.session->all_ended_well());
    REQUIRE(hashes.size() == static_cast<std::size_t>(t.pieces()));
    for (auto const& [piece, hash] : hashes) {
        CHECK(hash->ok());
        CHECK(hash->sha1 == sha1_of(t.stream(piece)));
    }
    CHECK(t.device_is_right());
    // It reads back equal, from the device if it is no longer cached.
    t.shared->cache().drop_clean(t.storage->io().number());
    for (int piece = 0; piece < t.pieces(); ++piece) {
        auto const content = t.stream(piece);
        std::vector<outcome_ptr> reads;
        for (int block = 0; block < t.blocks(piece); ++block) {
            reads.push_back(t.session->read(t.holder, piece, block * block_size, t.length(piece, block)));
        }
        auto const again = t.session->hash(t.holder, piece, lt::disk_interface::v1_hash);
        t.session->run_all();
        bytes joined;
        for (auto const& read : reads) {
            joined.insert(joined.end(), read->data.begin(), read->data.end());
        }
        CHECK(joined == content);
        CHECK(again->sha1 == sha1_of(content));
        t.session->forget_ended();
    }
    CHECK(t.shared->cache().invariant_holds());
}

TEST_CASE("the ring's pinned memory stays valid while the pool lends and shrinks") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const way = GENERATE(from_range(real_ways()));
    CAPTURE(name_of(way));
    real_test t(way, {{4096, 3LL << 20}}, 32 * block_size, 512 * kib, block_size);
    std::mt19937 random(3);
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 120; ++i) {
            int const piece = static_cast<int>(random() % 6);
            int const block = static_cast<int>(random() % 32);
            if (i % 2 == 0) {
                t.write(piece, block, static_cast<std::uint32_t>(random()));
                continue;
            }
            auto const content = t.stream(piece);
            auto const from = content.begin() + block * block_size;
            t.session->read(t.holder, piece, block * block_size, block_size)->then =
                [wanted = bytes(from, from + block_size)](outcome& got) { CHECK(got.data == wanted); };
            t.session->stop(t.holder);
        }
        t.session->run_all();
        t.session->forget_ended();
        t.shared->resize((round % 2 == 0 ? 4 : 32) * block_size, std::nullopt);
    }
    CHECK(t.device_is_right());
}

TEST_CASE("a transfer in more parts than the ring has entries") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const engine = GENERATE(io_engine_kind::threads, io_engine_kind::io_uring);
    std::vector<extent> crumbs;
    for (std::int64_t at = 0; at < (5LL << 20); at += 1024) {
        crumbs.push_back({at, 512});
    }
    real_test t({engine, false, true, 512}, crumbs, 256 * block_size, 4096 * kib, 4096 * kib);
    for (int block = 0; block < t.blocks(0); ++block) {
        t.write(0, block, static_cast<std::uint32_t>(block));
    }
    auto const hash = t.session->hash(t.holder, 0);
    t.session->run_all();
    CHECK(hash->sha1 == sha1_of(t.stream(0)));
    CHECK(t.device_is_right());
    t.shared->cache().drop_clean(t.storage->io().number());
    auto const again = t.session->hash(t.holder, 0);
    t.session->run_all();
    CHECK(again->sha1 == sha1_of(t.stream(0)));
}
