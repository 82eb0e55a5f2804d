// Packed images: a seed serves a packed file; a deployment unpacks it, and compares the device with the chunks of the
// image.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/layout/table_reader.hpp"
#include "image_fixture.hpp"
#include "support/packed_sample.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;
using test::image_fixture;
using enum image_state;

namespace {

constexpr std::int64_t mib = 1 << 20;

void write_bytes(std::string const& path, std::span<char const> bytes) {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

packed_sample partition_sample() {
    return make_packed_sample(mixed_bytes(2 * mib), {{0, 2 * mib}}, 64 << 10);
}

/// A disk of 12 MiB with two partitions.
packed_sample disk_sample() {
    auto layout = test::sample_gpt();
    layout.disk_size = 12 * mib;
    layout.partitions = {test::gpt_partition(1, mib, 3 * mib), test::gpt_partition(2, 4 * mib, 4 * mib)};
    return make_packed_sample(mixed_bytes(12 * mib), {{mib, 3 * mib}, {4 * mib, 2 * mib}}, 64 << 10, "disk.sbi",
                              layout);
}

/// A fixture whose torrent is that of a packed image in pieces of 64 KiB: by default, of a partition of two MiB.
struct packed_fixture : image_fixture {
    explicit packed_fixture(image_mode mode, packed_sample of = partition_sample())
        : image_fixture(mode)
        , sample(std::move(of)) {
        write_bytes(wanted.torrent, sample.torrent.bytes);
        write_device(mode == image_mode::seed ? sample.file : std::vector<std::byte>(sample.source.size()));
    }

    void write_device(std::span<std::byte const> bytes) const {
        write_bytes(wanted.device, {reinterpret_cast<char const*>(bytes.data()), bytes.size()});
    }
    [[nodiscard]] std::vector<bool> all(bool present) const {
        return std::vector<bool>(static_cast<std::size_t>(image.piece_count()), present);
    }
    /// Up to the point at which the device was compared with the image.
    void start_packed() {
        start();
        run_until([this] { return swarm.has_torrent(); });
        swarm.progress.current = torrent_progress::phase::downloading;
        swarm.progress.bytes_left = image.packed_size.value();
        swarm.pieces = all(false);
        swarm.listener().on_checked();
        run_until(downloading);
    }
    /// Writes the packed file as the engine does, and reports it complete.
    void complete_packed() {
        auto const served = shared->find_image(swarm.key);
        REQUIRE(served);
        for (std::size_t at = 0; at < sample.file.size(); at += block_size) {
            auto const length = std::min<std::size_t>(block_size, sample.file.size() - at);
            REQUIRE(served->writable_device().write(static_cast<std::int64_t>(at),
                                                    std::span<std::byte const>(sample.file).subspan(at, length)));
        }
        swarm.pieces = all(true);
        swarm.progress = {};
        swarm.progress.current = torrent_progress::phase::complete;
        swarm.progress.fraction = 1;
        swarm.listener().on_complete();
    }
    void expect_refused(std::string const& reason) {
        start();
        run_until(failed);
        CHECK(job->status().failed_at == failure_kind::guard);
        CHECK(job->status().failure == wanted.device + reason);
        close();
    }

    packed_sample sample;
    packed_image image = sample.image();
};

} // namespace

TEST_CASE("a packed image is unpacked to the device, flushed and verified before it is done") {
    packed_fixture made(image_mode::deploy);
    made.start_packed();
    CHECK(made.swarm.spec.pieces == made.all(false));
    CHECK_FALSE(made.swarm.spec.hash_before_serving);
    CHECK(made.logged("checked 2 MiB in "));
    CHECK(made.job->status().total_bytes == made.image.packed_size.value());
    CHECK(made.job->status().unpacked_bytes == 2 * mib);
    made.complete_packed();
    made.run_until(seeding);
    CHECK(made.job->status().verified);
    CHECK(made.job->status().device_written == 2 * mib);
    CHECK(made.logged("done: 2 MiB ("));
    CHECK(made.logged(" packed), of which 2 MiB downloaded, written, durable and verified"));
    made.close();
    std::ifstream file(made.wanted.device, std::ios::binary);
    std::string const bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    CHECK(std::ranges::equal(std::as_bytes(std::span(bytes)), made.sample.source));
}

TEST_CASE("only the pieces whose chunks differ on the device are downloaded") {
    packed_fixture made(image_mode::deploy);
    auto wanted = made.all(true);
    auto device = made.sample.source;
    for (auto const number : {std::int32_t{0}, made.image.piece_count() / 2}) {
        auto const& chunk = made.image.index.chunks_of(piece_index{number}).back();
        device[static_cast<std::size_t>(chunk.end().value() - 1)] ^= std::byte{1};
        wanted[static_cast<std::size_t>(number)] = false;
    }
    made.write_device(device);
    made.start_packed();
    CHECK(made.swarm.spec.pieces == wanted);
}

TEST_CASE("a deployment of a packed image resumes with the pieces of its checkpoint that are still on the device") {
    packed_fixture made(image_mode::deploy);
    made.write_device(made.sample.source);
    made.start_packed();
    made.swarm.pieces = made.all(true);
    made.swarm.pieces[3] = false;
    made.restart();
    REQUIRE(made.saved());
    auto claimed = made.saved()->pieces;
    CHECK(std::ranges::count(claimed, true) == made.image.piece_count() - 1);
    SECTION("none was written to") {}
    SECTION("another program has written to it, without a trace") {
        auto device = made.sample.source;
        auto const& chunk = made.image.index.chunks_of(piece_index{5}).front();
        device[static_cast<std::size_t>(chunk.offset.value())] ^= std::byte{1};
        auto const time = std::filesystem::last_write_time(made.wanted.device);
        made.write_device(device);
        std::filesystem::last_write_time(made.wanted.device, time);
        auto unclean = *made.saved();
        unclean.at_rest = false;
        made.store.save(unclean);
        claimed[5] = false;
    }
    made.start_packed();
    CHECK(made.swarm.spec.pieces == claimed);
}

TEST_CASE("the old table of a disk is erased before the download, and its own is written after the verification") {
    packed_fixture made(image_mode::deploy, disk_sample());
    auto old = std::vector<std::byte>(12 * mib);
    old[446 + 4] = std::byte{0x83}; // an MBR with a partition of one sector
    old[446 + 8] = old[446 + 12] = std::byte{1};
    old[510] = std::byte{0x55};
    old[511] = std::byte{0xaa};
    made.write_device(old);
    REQUIRE(read_disk_layout(made.wanted.device));
    made.start_packed();
    CHECK_FALSE(read_disk_layout(made.wanted.device));
    CHECK(made.logged("erasing the signature of earlier content: dos at byte 510"));
    made.complete_packed();
    CHECK_FALSE(read_disk_layout(made.wanted.device));
    made.run_until(seeding);
    auto const found = read_disk_layout(made.wanted.device);
    REQUIRE(found);
    CHECK(found->partitions.size() == 2);
    CHECK(found->partitions[1].start == 4 * mib);
    CHECK(made.job->status().content.warnings.empty());
    made.run_until([&] { return made.saved() && made.saved()->complete(); });
}

TEST_CASE("a disk that is deployed again keeps its table until a piece is missing") {
    packed_fixture made(image_mode::deploy, disk_sample());
    made.start_packed();
    made.complete_packed();
    made.run_until(seeding);
    made.restart();
    made.in_force.resume.interval = {}; // no checkpoint
    made.start();
    made.run_until([&] { return made.swarm.has_torrent(); });
    CHECK(made.swarm.spec.pieces == made.all(true));
    CHECK(read_disk_layout(made.wanted.device));
    made.swarm.listener().on_checked();
    made.swarm.listener().on_complete();
    made.run_until(seeding);
    CHECK(read_disk_layout(made.wanted.device));
}

TEST_CASE("a disk that is too small for the layout of a packed image is refused") {
    packed_fixture made(image_mode::deploy, disk_sample());
    std::filesystem::resize_file(made.wanted.device, 5 * mib);
    made.start();
    made.run_until(failed);
    CHECK(made.job->status().failed_at == failure_kind::guard);
    CHECK_THAT(made.job->status().failure, Catch::StartsWith(made.wanted.device + ": "));
    REQUIRE(made.reports.sent.size() == 1);
    CHECK(made.reports.sent[0].report.outcome == host_report::outcome_kind::refused);
    made.close();
}

TEST_CASE("a packed image that is authentic but invalid fails its deployment") {
    packed_fixture made(image_mode::deploy);
    made.sample.file[5000] ^= std::byte{1};
    hash_again(made.sample);
    write_bytes(made.wanted.torrent, made.sample.torrent.bytes);
    made.start_packed();
    auto served = made.shared->find_image(made.swarm.key);
    auto const written =
        served->writable_device().write(0, std::span<std::byte const>(made.sample.file).first(64 << 10));
    REQUIRE_FALSE(written);
    served->fail_writes(written.error());
    served.reset();
    made.run_until(failed);
    CHECK(made.job->status().failed_at == failure_kind::damage);
    CHECK_THAT(made.job->status().failure, Catch::Contains("piece 0: "));
    made.close();
}

TEST_CASE("a packed image that does not fit a target is refused") {
    packed_fixture made(image_mode::deploy);
    std::filesystem::resize_file(made.wanted.device, 2 * mib - 512);
    made.expect_refused(": too small: it has 2096640 bytes, the image needs 2097152");
}

TEST_CASE("a seed serves the packed file of a packed image") {
    packed_fixture made(image_mode::seed);
    made.start();
    made.run_until(seeding);
    CHECK(made.swarm.spec.hash_before_serving);
    CHECK(made.logged(": 2 MiB packed into "));
    REQUIRE(made.shared->find_image(made.swarm.key));
    CHECK(made.shared->find_image(made.swarm.key)->packed() == nullptr);
    CHECK(made.job->status().device_bytes() == made.image.packed_size.value());
    made.close();
}

TEST_CASE("a seed of a packed image whose device is not its packed file is refused") {
    packed_fixture made(image_mode::seed);
    auto const size = made.sample.file.size();
    auto const other = GENERATE_COPY(size - 1, size + 1, std::size_t{0});
    std::filesystem::resize_file(made.wanted.device, other);
    made.expect_refused(": has " + std::to_string(other) + " bytes, its .torrent states " + std::to_string(size));
}
