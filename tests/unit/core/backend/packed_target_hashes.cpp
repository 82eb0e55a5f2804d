// The hashes of a packed image's pieces: their target computes them when they arrive.

#include <algorithm>
#include <cerrno>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/torrent_info.hpp>

#include "backend_fixture.hpp"
#include "core/image/packed_target.hpp"
#include "support/packed_sample.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int32_t packed_piece = 256 << 10;

/// A target that keeps four pieces in memory, and whose zstd makes other frames than those of the image.
struct packed_test {
    packed_test() {
        auto loaded = parse_any_torrent(sample.torrent.bytes, "sample");
        REQUIRE(loaded);
        auto about = std::make_shared<packed_image>(sample.image());
        about->description.level = 1; // and not 12
        auto target = std::make_unique<fake_block_device>(std::vector<std::byte>(12 * mib), "sdb1");
        device = target.get();
        packed_target_options options;
        options.memory = 0;
        auto made = shared.shared->make_image(
            std::move(*loaded), std::make_unique<packed_target>(std::move(about), std::move(target), options),
            image_plan{}.profile());
        REQUIRE(made);
        served = std::move(*made);
        REQUIRE(shared.shared->add_image(served));
        storage = session.add(backend::key_of(served->torrent()));
    }

    [[nodiscard]] int pieces() const { return served->torrent().piece_count; }
    [[nodiscard]] lt::sha1_hash right(int piece) const {
        return served->torrent().info->hash_for_piece(lt::piece_index_t{piece});
    }
    [[nodiscard]] std::span<std::byte const> bytes_of(int piece, int start) const {
        auto const at = std::size_t{packed_piece} * static_cast<std::size_t>(piece) + static_cast<std::size_t>(start);
        auto const length = std::min(block_size, served->piece_size(piece_index{piece}) - start);
        return std::span<std::byte const>(sample.file).subspan(at, static_cast<std::size_t>(length));
    }
    void write_piece(int piece) {
        for (int start = 0; start < served->piece_size(piece_index{piece}); start += block_size) {
            session.write(storage, piece, start, bytes_of(piece, start));
        }
    }

    packed_sample sample = make_packed_sample(mixed_bytes(12 * mib), {{0, 12 * mib}}, packed_piece, "a.sbi", {}, 12);
    test_backend shared;
    test_session session{shared.shared};
    std::shared_ptr<served_image> served;
    fake_block_device* device = nullptr;
    lt::storage_holder storage;
};

} // namespace

TEST_CASE("a piece that has left the memory, and cannot be rebuilt, has its hash nevertheless", "[disk_io]") {
    packed_test t;
    REQUIRE(t.pieces() > 8);
    for (int start = 0; start < packed_piece; start += block_size) { // so that all are complete at the end
        for (int piece = 0; piece < t.pieces(); ++piece) {
            if (start < t.served->piece_size(piece_index{piece})) {
                t.session.write(t.storage, piece, start, t.bytes_of(piece, start));
            }
        }
    }
    t.session.run_all();
    t.shared.shared->cache().drop_clean(t.served->io().number());
    auto const lost = t.session.read(t.storage, 0, 0, block_size);
    t.session.run_until(lost);
    CHECK(lost->code() == piece_withdrawn);
    for (int piece = 0; piece < t.pieces(); ++piece) {
        auto const hashed = t.session.hash(t.storage, piece);
        t.session.run_until(hashed);
        CHECK(hashed->ok());
        CHECK(hashed->sha1 == t.right(piece));
    }
    CHECK_FALSE(t.served->first_error());
}

TEST_CASE("the hash of a packed piece is that of its last arrival", "[disk_io]") {
    packed_test t;
    t.sample.file[packed_piece + 5000] ^= std::byte{1};
    t.write_piece(1);
    auto const wrong = t.session.hash(t.storage, 1);
    t.session.run_until(wrong);
    CHECK(wrong->ok());
    CHECK(wrong->sha1 != t.right(1));
    t.session.run_until(t.session.clear(t.storage, 1));

    // A hash that nobody has asked for must not be that of the next arrival.
    t.write_piece(1);
    t.session.run_all();
    t.sample.file[packed_piece + 5000] ^= std::byte{1};
    t.write_piece(1);
    auto const right = t.session.hash(t.storage, 1);
    t.session.run_until(right);
    CHECK(right->ok());
    CHECK(right->sha1 == t.right(1));
    auto const again = t.session.hash(t.storage, 1); // of the bytes
    t.session.run_until(again);
    CHECK(again->sha1 == t.right(1));
    t.session.run_all();
    CHECK(t.session.all_ended_well());
}

TEST_CASE("a packed piece is hashed by its target alone", "[disk_io]") {
    packed_test t;
    t.write_piece(1);
    t.session.run_all();
    CHECK(t.served->hasher().ahead().finish(piece_index{1}).blocks == 0);
    auto const hashed = t.session.hash(t.storage, 1);
    t.session.run_until(hashed);
    CHECK(hashed->sha1 == t.right(1));
    CHECK_FALSE(t.served->packed()->take_sha1(piece_index{1})); // it has been used
}

TEST_CASE("the hash of a packed piece does not wait for writes that do not reach its target", "[disk_io]") {
    packed_test t;
    t.device->fail(fake_block_device::operation::write, EIO);
    t.write_piece(0);
    t.session.run_all();
    REQUIRE(t.served->write_failure());
    t.write_piece(1);
    auto const hashed = t.session.hash(t.storage, 1);
    t.session.run_until(hashed);
    CHECK(hashed->calls == 1);
    t.session.run_all();
}
