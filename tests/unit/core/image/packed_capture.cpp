#include "core/image/packed_capture.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "core/device/file_block_device.hpp"
#include "core/foundation/unique_fd.hpp"
#include "support/fake_block_device.hpp"
#include "support/packed_sample.hpp"
#include "support/process_memory.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::fake_block_device;

namespace {

constexpr std::int64_t mib = 1 << 20;

struct fixture {
    test::temp_dir folder;
    std::string path = (folder / "x.sbi").string();
    unique_fd file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
    packing_options options;

    explicit fixture(std::int64_t size) { options.geometry = {byte_count{size}, 512, 1 << 20}; }

    [[nodiscard]] result<std::optional<packed_content>, io_error> pack(block_device& source,
                                                                       std::vector<packed_range> const& ranges) const {
        return pack_source(source, ranges, {file.get(), path}, options);
    }
    [[nodiscard]] std::vector<std::byte> bytes() const {
        std::ifstream in(path, std::ios::binary);
        std::string const text{std::istreambuf_iterator<char>(in), {}};
        auto const* const begin = reinterpret_cast<std::byte const*>(text.data());
        return {begin, begin + text.size()};
    }
};

std::vector<std::byte> noise(std::size_t size) {
    std::mt19937 random(1); // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
    std::vector<std::byte> bytes(size);
    std::ranges::generate(bytes, [&random] { return static_cast<std::byte>(random()); });
    return bytes;
}

/// A device of random bytes, which repeat each MiB, so that it takes little memory and no chunk is compressed.
class random_device final : public block_device {
public:
    explicit random_device(std::int64_t size)
        : m_size(size) {}

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_size; }
    [[nodiscard]] bool read_only() const noexcept override { return true; }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override {
        for (std::size_t done = 0; done < buffer.size();) {
            auto const within = (static_cast<std::size_t>(offset) + done) % m_bytes.size();
            auto const count = std::min(m_bytes.size() - within, buffer.size() - done);
            std::copy_n(m_bytes.data() + within, count, buffer.data() + done);
            done += count;
        }
        return {};
    }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override {
        for (auto const& each : memory) {
            static_cast<void>(read(offset, std::span(static_cast<std::byte*>(each.iov_base), each.iov_len)));
            offset += static_cast<std::int64_t>(each.iov_len);
        }
        return {};
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> /*buffer*/) override {
        return tl::make_unexpected(refused(offset));
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> /*memory*/) override {
        return tl::make_unexpected(refused(offset));
    }
    [[nodiscard]] result<void, io_error> flush() override { return {}; }
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return read(offset, buffer);
    }

private:
    [[nodiscard]] io_error refused(std::int64_t offset) const {
        return make_io_error(io_operation::write, m_path, device_offset{offset}, 0, EROFS);
    }

    std::string const m_path = "random";
    std::int64_t const m_size;
    std::vector<std::byte> const m_bytes = noise(mib);
};

std::vector<packed_range> to_ranges(std::vector<extent> const& extents) {
    std::vector<packed_range> ranges;
    for (auto const& each : extents) {
        ranges.push_back({each.device_offset, each.length});
    }
    return ranges;
}

} // namespace

TEST_CASE("a source is packed the same by any number of threads") {
    auto const threads = GENERATE(1, 2, 5);
    auto const sample = make_packed_sample(mixed_bytes(24 * mib), {{0, 3 * mib}, {5 * mib, 512}, {7 * mib, 17 * mib}});
    auto const image = sample.image();
    fake_block_device source(sample.source);
    fixture to(24 * mib);
    to.options.threads = threads;
    std::int64_t last = 0;
    to.options.progress = [&last](packing_progress const& now) { last = now.done; };
    auto const made = to.pack(source, to_ranges(sample.extents));
    REQUIRE(made);
    REQUIRE(*made);
    CHECK(to.bytes() == sample.file);
    CHECK((*made)->size == static_cast<std::int64_t>(sample.file.size()));
    CHECK(std::ranges::equal((*made)->index.chunks(), image.index.chunks()));
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        CHECK((*made)->hashes[static_cast<std::size_t>(piece)] == image.hash_of(piece_index{piece}));
    }
    CHECK(last <= total_length(to_ranges(sample.extents)));
}

TEST_CASE("a source is read once, in order, without its holes") {
    fake_block_device source(24 * mib);
    fixture to(24 * mib);
    to.options.threads = 2;
    auto const made = to.pack(source, {{0, mib}, {mib, 20 * mib, true}, {21 * mib, 3 * mib}});
    REQUIRE(made);
    REQUIRE(*made);
    std::int64_t read = 0;
    for (auto const& access : source.accesses()) {
        CHECK(access.op == fake_block_device::operation::read);
        CHECK((access.offset + access.length <= mib || access.offset >= 21 * mib));
        read += access.length;
    }
    CHECK(read == 4 * mib);
    REQUIRE((*made)->index.chunks().size() == 3); // all is zero, in three ranges
    CHECK((*made)->index.chunks()[1] ==
          packed_chunk{device_offset{mib}, static_cast<std::int32_t>(20 * mib), 0, chunk_method::zero});
    CHECK((*made)->index.used() == byte_count{24 * mib});
}

TEST_CASE("packing takes no more memory for a larger source") {
    constexpr auto size = 1024 * mib;
    random_device source(size);
    fixture to(size);
    to.options.threads = 2;
    to.file.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    test::forget_peak_memory();
    auto const before = test::process_memory("VmHWM");
    auto const made = to.pack(source, {{0, size}});
    auto const most = test::process_memory("VmHWM") - before;
    REQUIRE(made);
    CHECK((*made)->size >= size); // random bytes do not become fewer
    CAPTURE(most);
    CHECK(most < size / 4);
}

TEST_CASE("an unreadable source is named, down to the page") {
    fake_block_device source(24 * mib);
    source.fail(fake_block_device::operation::read, EIO, 9 * mib + 8192, 512);
    fixture to(24 * mib);
    auto const made = to.pack(source, {{0, 24 * mib}});
    REQUIRE_FALSE(made);
    CHECK(made.error().operation == io_operation::read);
    CHECK(made.error().code == EIO);
    CHECK(made.error().offset == 9 * mib + 8192);
}

TEST_CASE("a full disk ends the packing") {
    auto const sample = make_packed_sample(mixed_bytes(8 * mib), {{0, 8 * mib}});
    fake_block_device source(sample.source);
    fixture to(8 * mib);
    to.file.reset(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    auto const made = to.pack(source, {{0, 8 * mib}});
    REQUIRE_FALSE(made);
    CHECK(made.error().operation == io_operation::write);
    CHECK(made.error().code == ENOSPC);
    CHECK(made.error().device == to.path);
}

TEST_CASE("packing can be cancelled") {
    fake_block_device source(64 * mib);
    std::atomic<bool> cancelled{false};
    fixture to(64 * mib);
    to.options.cancelled = &cancelled;
    to.options.progress = [&](packing_progress const&) { cancelled = true; };
    auto const made = to.pack(source, {{0, 64 * mib}});
    REQUIRE(made);
    CHECK_FALSE(*made);
}

TEST_CASE("ranges of used blocks are extended to sectors, and joined") {
    CHECK(ranges_of({{0, 1024}, {1024, 1024}, {8192, 100}}, 512, 1 << 20) ==
          std::vector<packed_range>{{0, 2048}, {8192, 512}});
    CHECK(ranges_of({{8192, 4096}, {0, 512}, {9000, 100}}, 512, 1 << 20) ==
          std::vector<packed_range>{{0, 512}, {8192, 4096}});
    CHECK(ranges_of({{1024, 1024}, {4096, 1}}, 4096, 5 * 4096) == std::vector<packed_range>{{0, 8192}});
    CHECK(ranges_of({{4096, 512}}, 4096, 8192) == std::vector<packed_range>{{4096, 4096}});
}

TEST_CASE("the holes of a file are zeros, and all else is read") {
    test::temp_dir const folder;
    auto const path = (folder / "sparse").string();
    {
        unique_fd const fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(fd.get(), 9 * mib + 512) == 0);
        REQUIRE(::pwrite(fd.get(), "a", 1, 2 * mib) == 1);
        REQUIRE(::pwrite(fd.get(), "b", 1, 9 * mib + 511) == 1);
        REQUIRE(::fsync(fd.get()) == 0);
    }
    auto const device = open_block_device(path, {});
    REQUIRE(device);
    auto const ranges = whole_source(**device);
    REQUIRE(ranges);
    std::int64_t at = 0;
    auto holds = [](packed_range const& range, std::int64_t byte) {
        return range.offset <= byte && byte < range.offset + range.length;
    };
    std::int64_t zeros = 0;
    for (auto const& range : *ranges) {
        CHECK(range.offset == at);
        at += range.length;
        zeros += range.zeros ? range.length : 0;
        CHECK_FALSE((range.zeros && (holds(range, 2 * mib) || holds(range, 9 * mib + 511))));
    }
    CHECK(at == 9 * mib + 512);
    CHECK(zeros > 4 * mib);
}
