#include "core/image/ends_last_device.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <memory>
#include <semaphore>
#include <span>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/io_job.hpp"
#include "core/device/io_profile.hpp"
#include "core/device/io_queue.hpp"
#include "core/device/uring_io_queue.hpp"
#include "core/image/chunk_transfer.hpp"
#include "core/layout/table_writer.hpp"
#include "support/device_bytes.hpp"
#include "support/fake_block_device.hpp"
#include "support/sample_layouts.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::fake_block_device;
using test::mib;
using operation = fake_block_device::operation;
using device_access = fake_block_device::access;
using bytes = std::vector<std::byte>;

namespace {

constexpr std::int64_t size = 200'000;
constexpr device_ends small_ends{50'000, 20'000};
constexpr std::int64_t last_end = 167'936; ///< 190,000 less the last end, at a page

/// Gaps in both ends, and one extent that reaches into both.
extent_map image_extents() {
    return *extent_map::make({{1'000, 9'000}, {20'000, 150'000}, {180'000, 10'000}});
}

/// A device with old content, whose ends are not held back.
struct ends_sample {
    explicit ends_sample(bool descriptor = false, extent_map const& image = image_extents(),
                         device_ends const& ends = small_ends, bytes content = test::pattern(size, 1))
        : before(std::move(content)) {
        auto made = std::make_unique<fake_block_device>(static_cast<std::int64_t>(before.size()), "/nonexistent");
        if (descriptor) {
            made->give_descriptor();
        }
        made->set_contents(0, before);
        below = made.get();
        device = std::make_unique<ends_last_device>(std::move(made), image, ends);
    }

    [[nodiscard]] bytes read(std::int64_t offset, std::size_t length) const {
        bytes found(length);
        REQUIRE(device->read(offset, found));
        return found;
    }
    [[nodiscard]] bytes part(bytes const& of, std::int64_t offset, std::int64_t length) const {
        return {of.begin() + offset, of.begin() + offset + length};
    }
    [[nodiscard]] bytes medium() const { return below->medium(0, below->size()); }

    bytes const before;
    fake_block_device* below = nullptr;
    std::unique_ptr<ends_last_device> device;
};

/// The content without the ends of the image.
bytes with_empty_ends(bytes content) {
    for (auto const& [begin, end] : {std::pair<std::int64_t, std::int64_t>{1'000, 10'000},
                                     {20'000, 50'000},
                                     {last_end, 170'000},
                                     {180'000, 190'000}}) {
        std::fill(content.begin() + begin, content.begin() + end, std::byte{});
    }
    return content;
}

class one_job final : public io_job {
public:
    one_job(direction way, std::int64_t offset, std::vector<std::span<std::byte>> const& memory)
        : io_job(way) {
        for (auto const& each : memory) {
            add(offset, each.data(), each.size());
            offset += std::ssize(each);
        }
    }
    void end(result<void, io_error> const& outcome) override {
        succeeded = outcome.has_value();
        m_done.release();
    }
    void wait() { m_done.acquire(); }

    bool succeeded = false;

private:
    std::binary_semaphore m_done{0};
};

} // namespace

TEST_CASE("the ends of an image pass through until they are held back") {
    ends_sample sample;
    CHECK_FALSE(sample.device->holds_back());
    CHECK((sample.device->part_in_memory(0, size).length == 0));
    CHECK((sample.read(0, size) == sample.before));
    auto const fresh = test::pattern(5'000, 2);
    REQUIRE(sample.device->write(20'000, fresh));
    CHECK((sample.below->contents(20'000, 5'000) == fresh));
    CHECK(sample.device->write_ends()); // only flushes
    CHECK((sample.below->unflushed_bytes() == 0));
    CHECK((sample.medium() == sample.below->contents(0, size)));
}

TEST_CASE("the ends are the image's bytes at both ends of its device, and no others") {
    ends_sample const sample;
    auto const& device = *sample.device;
    CHECK_FALSE(device.touches(0, 1'000));
    CHECK(device.touches(999, 2));
    CHECK(device.touches(9'999, 1));
    CHECK_FALSE(device.touches(10'000, 10'000));
    CHECK(device.touches(49'999, 1));
    CHECK_FALSE(device.touches(50'000, last_end - 50'000));
    CHECK(device.touches(last_end, 1));
    CHECK_FALSE(device.touches(170'000, 10'000));
    CHECK(device.touches(100'000, 100'000));
    CHECK_FALSE(device.touches(190'000, 10'000));

    // An image that is smaller than its ends.
    ends_sample const tiny(false, *extent_map::make({{0, 60'000}}));
    CHECK(tiny.device->touches(0, 1));
    CHECK(tiny.device->touches(59'999, 1));
    ends_sample const none(false, image_extents(), {0, 0});
    CHECK_FALSE(none.device->touches(0, size));
    CHECK(none.device->hold_back().empty());
    CHECK_FALSE(none.device->holds_back());
    CHECK(none.below->accesses().empty());
}

TEST_CASE("while the ends are held back, they are whole for everyone who reads the device") {
    ends_sample sample;
    CHECK(sample.device->hold_back().empty());
    CHECK(sample.device->holds_back());
    CHECK((sample.read(0, size) == sample.before));
    CHECK(sample.below->accesses(operation::write).empty()); // before the first write, nothing is erased
    CHECK(sample.device->hold_back().empty());               // again: nothing is lost

    // The first write, wherever it goes, erases them, durably.
    REQUIRE(sample.device->write(100'000, sample.part(sample.before, 100'000, 1)));
    CHECK((sample.medium() == with_empty_ends(sample.before)));
    CHECK((sample.read(0, size) == sample.before));
    bytes on_medium(9'000);
    REQUIRE(sample.device->read_medium(1'000, on_medium));
    CHECK((on_medium == bytes(9'000)));

    // A write across an end, a gap and the middle, from several ranges of memory.
    auto fresh = test::pattern(150'000, 3);
    std::array<iovec, 3> const memory{
        {{fresh.data(), 700}, {fresh.data() + 700, 99'300}, {fresh.data() + 100'000, 50'000}}};
    REQUIRE(sample.device->write(20'000, memory));
    auto expected = sample.before;
    std::ranges::copy(fresh, expected.begin() + 20'000);
    CHECK((sample.read(0, size) == expected));
    bytes parts(150'000);
    std::array<iovec, 2> const to{{{parts.data(), 40'000}, {parts.data() + 40'000, 110'000}}};
    REQUIRE(sample.device->read(20'000, to));
    CHECK((parts == fresh));
    REQUIRE(sample.device->flush());
    CHECK((sample.medium() == with_empty_ends(expected)));

    REQUIRE(sample.device->write_ends());
    CHECK_FALSE(sample.device->holds_back());
    CHECK((sample.medium() == expected));
    CHECK((sample.read(0, size) == expected));
}

TEST_CASE("zeros are not written past the memory that holds the ends back") {
    ends_sample sample(true);
    REQUIRE(sample.device->hold_back().empty());
    REQUIRE(write_zeros(*sample.device, 20'000, 150'000));
    REQUIRE(sample.device->write_ends());
    CHECK((sample.below->contents(20'000, 150'000) == bytes(150'000)));
}

TEST_CASE("a ring copies what is held back, and transfers the rest") {
    ends_sample sample(true);
    REQUIRE(sample.device->hold_back().empty());
    auto made = make_uring_io_queue(*sample.device, {.queue_depth = 8}, {});
    if (!made) {
        WARN("no io_uring here: " << made.error());
        return;
    }
    auto fresh = test::pattern(170'000, 4);
    auto const whole = std::span(fresh);
    one_job write(io_job::direction::write, 20'000,
                  {whole.first(999), whole.subspan(999, 70'001), whole.subspan(71'000)});
    (*made)->submit(&write);
    write.wait();
    CHECK(write.succeeded);
    auto expected = sample.before;
    std::ranges::copy(fresh, expected.begin() + 20'000);
    CHECK((sample.read(0, size) == expected));
    CHECK((sample.below->contents(0, size) == with_empty_ends(expected)));
    bytes found(size);
    one_job read(io_job::direction::read, 0, {std::span(found).first(30'001), std::span(found).subspan(30'001)});
    (*made)->submit(&read);
    read.wait();
    CHECK(read.succeeded);
    CHECK((found == expected));
    REQUIRE(sample.device->write_ends());
    one_job again(io_job::direction::read, 0, {found});
    std::ranges::fill(found, std::byte{});
    (*made)->submit(&again);
    again.wait();
    CHECK((found == expected));
}

TEST_CASE("bytes of the ends that cannot be read are named, and read as zeros from then on") {
    ends_sample sample;
    sample.below->fail(operation::read, EIO, 185'000, 1);
    CHECK((sample.device->hold_back() == std::vector<extent>{{180'000, 10'000}}));
    CHECK((sample.read(180'000, 10'000) == bytes(10'000)));
    CHECK((sample.read(20'000, 30'000) == sample.part(sample.before, 20'000, 30'000)));
}

TEST_CASE("nothing is written while the ends cannot be erased") {
    ends_sample sample(true);
    REQUIRE(sample.device->hold_back().empty());
    SECTION("a write fails") {
        sample.below->fail(operation::write, EIO, 185'000, 1);
    }
    SECTION("a flush fails") {
        sample.below->fail(operation::flush, EIO);
    }
    for (auto const offset : {100'000, 1'000}) {
        auto const written = sample.device->write(offset, bytes(100, std::byte{1}));
        REQUIRE_FALSE(written);
        CHECK((written.error().code == EIO));
    }
    CHECK_FALSE(sample.device->will_write(100'000, 100));
    CHECK_FALSE(write_zeros(*sample.device, 100'000, 100));
    CHECK((sample.below->contents(50'000, 100'000) == sample.part(sample.before, 50'000, 100'000)));
    if (auto queue = make_uring_io_queue(*sample.device, {.queue_depth = 8}, {})) {
        auto fresh = bytes(100, std::byte{1});
        one_job write(io_job::direction::write, 100'000, {fresh});
        (*queue)->submit(&write);
        write.wait();
        CHECK_FALSE(write.succeeded);
        CHECK((sample.below->contents(100'000, 100) == sample.part(sample.before, 100'000, 100)));
    }
}

TEST_CASE("ends that are held back while nothing is written stay on the device") {
    ends_sample sample;
    REQUIRE(sample.device->hold_back().empty());
    REQUIRE(sample.device->write_ends());
    CHECK_FALSE(sample.device->holds_back());
    CHECK(sample.below->accesses(operation::write).empty());
}

TEST_CASE("ends that cannot be written stay held back, and can be written later") {
    ends_sample sample;
    REQUIRE(sample.device->hold_back().empty());
    REQUIRE(sample.device->write(1'000, sample.part(sample.before, 1'000, 1)));
    sample.below->fail(operation::write, ENOSPC, 185'000, 1);
    auto const failed = sample.device->write_ends();
    REQUIRE_FALSE(failed);
    CHECK((failed.error().code == ENOSPC));
    CHECK((failed.error().operation == io_operation::write));
    CHECK(sample.device->holds_back());
    sample.below->clear_faults();
    REQUIRE(sample.device->write_ends());
    CHECK((sample.medium() == sample.before));
}

TEST_CASE("no part of the ends is written before the rest is durable") {
    ends_sample sample;
    REQUIRE(sample.device->hold_back().empty());
    REQUIRE(sample.device->write(60'000, test::pattern(100, 1)));
    sample.below->fail(operation::flush, EIO);
    sample.below->clear_accesses();
    auto const failed = sample.device->write_ends();
    REQUIRE_FALSE(failed);
    CHECK((failed.error().operation == io_operation::flush));
    CHECK(sample.below->accesses(operation::write).empty());
}

TEST_CASE("the first sector of a partition table is erased first and written last") {
    auto layout = test::sample_gpt();
    layout.disk_size = 4 * mib;
    layout.partitions = {test::gpt_partition(1, mib, mib)};
    auto const table = make_table(layout);
    REQUIRE(table);
    auto content = test::pattern(4 * mib, 5);
    for (auto const& run : table->runs) {
        std::ranges::copy(run.bytes, content.begin() + run.offset);
    }
    // libblkid opens the device by its name.
    test::temp_dir const folder;
    auto const file = (folder / "disk").string();
    REQUIRE(std::ofstream(file, std::ios::binary)
                .write(reinterpret_cast<char const*>(content.data()), std::ssize(content)));
    auto made = std::make_unique<fake_block_device>(content, file);
    auto& below = *made;
    ends_last_device device(std::move(made), *extent_map::make({{0, 4 * mib}}), {});

    REQUIRE(device.hold_back().empty());
    REQUIRE(device.write(2 * mib, std::span(content).subspan(2 * mib, 1)));
    auto const erased = below.accesses();
    auto const write = std::ranges::find(erased, operation::write, &device_access::op);
    REQUIRE(write + 1 < erased.end());
    CHECK((write->offset == 510)); // the protective MBR
    CHECK((write + 1)->op == operation::flush);

    below.clear_accesses();
    REQUIRE(device.write_ends());
    auto const written = below.accesses();
    auto const flush = device_access{operation::flush, 0, 0};
    REQUIRE(written.size() > 8);
    std::span const last(written.end() - 6, written.end());
    CHECK((written.front() == flush));
    CHECK((last[0] == flush));
    CHECK((last[1] == device_access{operation::write, 512, 512})); // the header and its backup
    CHECK((last[2] == device_access{operation::write, 4 * mib - 512, 512}));
    CHECK((last[3] == flush));
    CHECK((last[4] == device_access{operation::write, 0, 512}));
    CHECK((last[5] == flush));
    CHECK((std::ranges::count(written, flush) == 4));
    CHECK((below.medium(0, 4 * mib) == content));
}

TEST_CASE("if the superblock is not in the first sector, its own sector is written last") {
    bytes content(4 * mib);
    std::ranges::copy(std::as_bytes(std::span("SWAPSPACE2", 10)), content.begin() + 4086);
    content[1024] = std::byte{1};   // its version
    content[1028] = std::byte{100}; // its last page
    content[700] = std::byte{1};
    ends_sample sample(false, *extent_map::make({{0, 4 * mib}}), {}, content);
    REQUIRE(sample.device->hold_back().empty());
    REQUIRE(sample.device->write(2 * mib, std::span(content).first(1)));
    sample.below->clear_accesses();
    REQUIRE(sample.device->write_ends());
    auto const writes = sample.below->accesses(operation::write);
    CHECK((writes.back() == device_access{operation::write, 3584, 512}));
    CHECK((sample.medium() == content));
}

TEST_CASE("if libblkid does not recognise content by its ends alone, the first sector is written last") {
    ends_sample sample(false, *extent_map::make({{0, size}}));
    REQUIRE(sample.device->hold_back().empty());
    REQUIRE(sample.device->write(1'000, sample.part(sample.before, 1'000, 1)));
    sample.below->clear_accesses();
    REQUIRE(sample.device->write_ends());
    CHECK((sample.below->accesses(operation::write).back() == device_access{operation::write, 0, 512}));
    CHECK((sample.medium() == sample.before));
}
