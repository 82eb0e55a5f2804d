#include "core/device/io_queue.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <semaphore>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/file_block_device.hpp"
#include "core/device/uring_io_queue.hpp"
#include "core/foundation/unique_fd.hpp"
#include "support/fake_block_device.hpp"
#include "support/loop_device.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

using bytes = std::vector<std::byte>;
constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;

/// A job that reports its end.
class test_job final : public io_job {
public:
    explicit test_job(direction way)
        : io_job(way) {}

    test_job& range(std::int64_t offset, std::span<std::byte> memory) {
        if (segments().empty()) {
            set_position(device_offset{offset});
        }
        add(offset, memory.data(), memory.size());
        return *this;
    }
    test_job& at(std::int64_t position) {
        set_position(device_offset{position});
        return *this;
    }
    void prepare() override { ++prepared; }
    void end(result<void, io_error> const& outcome) override {
        ended_with = outcome;
        ++ended;
        m_done.release();
    }
    result<void, io_error> const& wait() {
        m_done.acquire();
        return ended_with;
    }

    int prepared = 0;
    int ended = 0;
    result<void, io_error> ended_with;

private:
    std::binary_semaphore m_done{0};
};

std::unique_ptr<io_queue> make_queue(std::string const& engine, block_device& device, io_profile const& profile,
                                     std::span<std::byte> memory = {}) {
    if (engine == "threads") {
        return make_thread_io_queue(device, profile);
    }
    auto queue = make_uring_io_queue(device, profile, memory);
    if (!queue) {
        WARN("SKIPPED: io_uring: " << errno_name(queue.error()));
        return nullptr;
    }
    return std::move(*queue);
}

std::unique_ptr<block_device> open_loop(loop_device const& loop, bool direct) {
    device_requirements wanted;
    wanted.writable = true;
    wanted.direct_io = direct;
    auto device = open_block_device(loop.path(), wanted);
    INFO((device ? std::string() : device.error().message));
    REQUIRE(device);
    return std::move(*device);
}

/// A device whose writes exclude each other in the kernel, like a regular file's; counts how many run at once.
class one_writer_device final : public block_device {
public:
    explicit one_writer_device(fake_block_device& device)
        : m_device(device) {}

    [[nodiscard]] std::string const& path() const noexcept override { return m_device.path(); }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_device.size(); }
    [[nodiscard]] bool read_only() const noexcept override { return false; }
    [[nodiscard]] std::optional<raw_device> raw() const noexcept override {
        raw_device made;
        made.one_writer = true;
        return made;
    }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override {
        return m_device.read(offset, buffer);
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override {
        return m_device.write(offset, buffer);
    }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override {
        return m_device.read(offset, memory);
    }
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override {
        {
            std::scoped_lock const lock(m_mutex);
            most = std::max(most, ++m_running);
        }
        auto const outcome = m_device.write(offset, memory);
        std::scoped_lock const lock(m_mutex);
        --m_running;
        return outcome;
    }
    [[nodiscard]] result<void, io_error> flush() override { return m_device.flush(); }
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return m_device.read_medium(offset, buffer);
    }

    int most = 0; ///< concurrent writes

private:
    fake_block_device& m_device;
    std::mutex m_mutex;
    int m_running = 0;
};

struct free_memory {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
};
using aligned_memory = std::unique_ptr<std::byte, free_memory>;

aligned_memory allocate(std::size_t size) {
    aligned_memory memory(static_cast<std::byte*>(std::aligned_alloc(4096, size)));
    REQUIRE(memory);
    return memory;
}

} // namespace

TEST_CASE("either engine reads the data written by either, at any offset, in any pieces") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const engine = GENERATE(std::string("threads"), std::string("io_uring"));
    auto const direct = GENERATE(false, true);
    auto const sector = GENERATE(512U, 4096U);
    CAPTURE(engine, direct, sector);
    loop_device loop({.size = 8 * mib, .block_size = sector});
    auto const device = open_loop(loop, direct);
    CHECK((device->raw()->direct >= 0) == direct);
    io_profile profile;
    profile.threads = 3;
    profile.queue_depth = 8;
    auto const pool = allocate(4 * mib);
    auto queue = make_queue(engine, *device, profile, {pool.get(), 4 * mib});
    if (!queue) {
        return;
    }

    std::minstd_rand random(sector + (direct ? 1 : 0));
    bytes model(8 * mib);
    // Disjoint ranges with gaps, aligned and not, from memory that is aligned and not.
    std::vector<std::unique_ptr<test_job>> jobs;
    auto* memory = pool.get();
    auto* const memory_end = pool.get() + 4 * mib;
    for (std::int64_t at = 0; at < 8 * mib - 200 * kib;) {
        auto job = std::make_unique<test_job>(io_job::direction::write);
        for (auto pieces = random() % 5 + 1; pieces > 0; --pieces) {
            auto const aligned = random() % 2 == 0;
            auto const length = aligned ? (random() % 8 + 1) * 4096 : random() % 9000 + 1;
            if (memory_end - memory < static_cast<std::ptrdiff_t>(length) + 4096) {
                break;
            }
            for (std::size_t i = 0; i < length; ++i) {
                memory[i] = static_cast<std::byte>(random());
            }
            job->range(at, {memory, length});
            std::memcpy(model.data() + at, memory, length);
            memory += aligned ? length : length + random() % 64;
            if (aligned) {
                memory = pool.get() + (memory - pool.get() + 4095) / 4096 * 4096;
            }
            at += static_cast<std::int64_t>(length);
        }
        at += random() % 2 == 0 ? 0 : static_cast<std::int64_t>(random() % 100'000);
        queue->submit(job.get());
        jobs.push_back(std::move(job));
    }
    CHECK(jobs.size() > 40);
    for (auto const& job : jobs) {
        auto const& outcome = job->wait();
        INFO((outcome ? std::string() : outcome.error().message()));
        CHECK(outcome);
        CHECK(job->prepared == 1);
        CHECK(job->ended == 1);
    }

    bytes seen(8 * mib);
    REQUIRE(device->read(0, std::span(seen)));
    CHECK(seen == model);
    REQUIRE(device->flush());
    bytes medium(8 * mib);
    REQUIRE(device->read_medium(0, medium));
    CHECK(medium == model);

    // The same ranges read back, through the engine.
    bytes again(8 * mib);
    std::vector<std::unique_ptr<test_job>> reads;
    for (auto const& job : jobs) {
        auto read = std::make_unique<test_job>(io_job::direction::read);
        for (auto const& segment : job->segments()) {
            read->range(segment.offset, std::span(again).subspan(static_cast<std::size_t>(segment.offset),
                                                                 static_cast<std::size_t>(segment.length)));
        }
        queue->submit(read.get());
        reads.push_back(std::move(read));
    }
    for (auto const& read : reads) {
        CHECK(read->wait());
    }
    CHECK(again == model);
}

TEST_CASE("a transfer beyond the end fails with its offset, and a file does not grow") {
    auto const engine = GENERATE(std::string("threads"), std::string("io_uring"));
    CAPTURE(engine);
    temp_dir folder;
    auto const path = folder / "disk.img";
    {
        unique_fd const fd(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(fd.get(), 100 * kib) == 0);
    }
    device_requirements wanted;
    wanted.writable = true;
    auto const device = open_block_device(path.string(), wanted);
    REQUIRE(device);
    auto queue = make_queue(engine, **device, {});
    if (!queue) {
        return;
    }
    bytes memory(16 * kib);
    test_job write(io_job::direction::write);
    write.range(90 * kib, memory);
    queue->submit(&write);
    auto const written = write.wait();
    REQUIRE_FALSE(written);
    CHECK(written.error().code == ENOSPC);
    CHECK(written.error().operation == io_operation::write);
    CHECK(written.error().offset == 90 * kib);
    test_job read(io_job::direction::read);
    read.range(90 * kib, memory);
    queue->submit(&read);
    auto const was_read = read.wait();
    REQUIRE_FALSE(was_read);
    CHECK(was_read.error().code == EIO);
    CHECK(std::filesystem::file_size(path) == 100 * kib);
}

TEST_CASE("a read-only device is not written to") {
    auto const engine = GENERATE(std::string("threads"), std::string("io_uring"));
    CAPTURE(engine);
    temp_dir folder;
    auto const path = folder / "disk.img";
    {
        unique_fd const fd(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(fd.get(), 100 * kib) == 0);
    }
    auto const device = open_block_device(path.string(), {});
    REQUIRE(device);
    auto queue = make_queue(engine, **device, {});
    if (!queue) {
        return;
    }
    bytes memory(16 * kib);
    test_job write(io_job::direction::write);
    write.range(0, memory);
    queue->submit(&write);
    auto const written = write.wait();
    REQUIRE_FALSE(written);
    CHECK(written.error().code == EROFS);
}

TEST_CASE("a job without work succeeds") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const engine = GENERATE(std::string("threads"), std::string("io_uring"));
    loop_device loop;
    auto const device = open_loop(loop, false);
    auto queue = make_queue(engine, *device, {});
    if (!queue) {
        return;
    }
    test_job nothing(io_job::direction::write);
    queue->submit(&nothing);
    CHECK(nothing.wait());
}

TEST_CASE("a destroyed queue has ended every job, and its numbers may change in the meantime") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    auto const engine = GENERATE(std::string("threads"), std::string("io_uring"));
    CAPTURE(engine);
    loop_device loop({.size = 16 * mib});
    auto const device = open_loop(loop, false);
    io_profile profile;
    profile.elevator = true;
    auto queue = make_queue(engine, *device, profile);
    if (!queue) {
        return;
    }
    bytes memory(4 * kib, std::byte{9});
    std::vector<std::unique_ptr<test_job>> jobs;
    for (int i = 0; i < 1000; ++i) {
        jobs.push_back(std::make_unique<test_job>(io_job::direction::write));
        jobs.back()->range(std::int64_t{i * 37 % 1000} * 4 * kib, memory);
        queue->submit(jobs.back().get());
        if (i % 100 == 0) {
            profile.threads = i / 100 + 1;
            profile.queue_depth = 10 - i / 100;
            profile.elevator = !profile.elevator;
            queue->set_profile(profile);
        }
    }
    queue.reset();
    for (auto const& job : jobs) {
        CHECK(job->ended == 1);
        CHECK(job->ended_with);
    }
}

TEST_CASE("progress counts waiting and ended jobs") {
    fake_block_device device(1 * mib);
    auto held = device.hold(fake_block_device::operation::write);
    auto const queue = make_thread_io_queue(device, {});
    bytes memory(4 * kib);
    test_job first(io_job::direction::write);
    first.range(0, memory);
    queue->submit(&first);
    held.wait_until_waiting();
    CHECK(queue->current_progress().pending == 1);
    auto const stalled = queue->current_progress().stalled_since;
    CHECK(queue->current_progress().stalled_since == stalled);
    held.release();
    CHECK(first.wait());
}

TEST_CASE("the first failure of a job is its outcome, with device, offset and errno") {
    fake_block_device device(1 * mib, "disk");
    device.fail(fake_block_device::operation::write, EIO, 64 * kib, 4 * kib);
    auto const queue = make_thread_io_queue(device, {});
    bytes memory(4 * kib);
    test_job job(io_job::direction::write);
    job.range(0, memory).range(64 * kib, memory).range(128 * kib, memory);
    queue->submit(&job);
    auto const outcome = job.wait();
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().device == "disk");
    CHECK(outcome.error().offset == 64 * kib);
    CHECK(outcome.error().code == EIO);
    CHECK(device.accesses(fake_block_device::operation::write).size() == 2);
}

TEST_CASE("adjacent ranges in adjacent memory become one") {
    bytes memory(64 * kib);
    auto const all = std::span(memory);
    test_job job(io_job::direction::write);
    job.range(0, all.subspan(0, 16 * kib)).range(16 * kib, all.subspan(16 * kib, 16 * kib));
    REQUIRE(job.segments().size() == 1);
    CHECK(job.segments()[0].length == 32 * kib);
    CHECK(job.memory_of(job.segments()[0]).size() == 1);
    job.range(32 * kib, all.subspan(48 * kib, 16 * kib)); // follows on the device, not in memory
    REQUIRE(job.segments().size() == 1);
    CHECK(job.memory_of(job.segments()[0]).size() == 2);
    job.range(64 * kib, all.subspan(32 * kib, 4 * kib)); // does not follow
    REQUIRE(job.segments().size() == 2);
    CHECK(job.memory_of(job.segments()[1]).size() == 1);
}

TEST_CASE("while the kernel admits one writer, the other threads read, and no job is forgotten") {
    fake_block_device fake(mib);
    one_writer_device device(fake);
    auto profile = default_profile(storage_class::sata_ssd);
    profile.threads = GENERATE(1, 4);
    std::vector<std::unique_ptr<test_job>> writes;
    std::vector<std::unique_ptr<test_job>> reads;
    bytes memory(4096);
    auto const add = [&memory](auto& jobs, io_job::direction way) -> test_job* {
        jobs.push_back(std::make_unique<test_job>(way));
        jobs.back()->range(static_cast<std::int64_t>(jobs.size()) * 4096, memory);
        return jobs.back().get();
    };
    auto const queue = make_thread_io_queue(device, profile);
    auto held = fake.hold(fake_block_device::operation::write);
    for (int i = 0; i < 20; ++i) {
        queue->submit(add(writes, io_job::direction::write));
    }
    held.wait_until_waiting(1);
    for (int i = 0; i < 20; ++i) {
        auto* const job = add(reads, io_job::direction::read);
        queue->submit(job);
        if (profile.threads > 1) {
            CHECK(job->wait());
        }
    }
    held.release();
    for (auto const& job : writes) {
        CHECK(job->wait());
    }
    for (auto const& job : reads) {
        CHECK((profile.threads > 1 || job->wait()));
    }
    CHECK(device.most == 1);
}

TEST_CASE("jobs run in the order of submission") {
    io_order order(false);
    std::vector<std::unique_ptr<test_job>> jobs;
    for (std::int64_t position : {30, 10, 20}) {
        jobs.push_back(std::make_unique<test_job>(io_job::direction::write));
        jobs.back()->at(position);
        order.push(jobs.back().get());
    }
    CHECK(order.pop()->position() == device_offset{30});
    CHECK(order.pop()->position() == device_offset{10});
    CHECK(order.pop()->position() == device_offset{20});
    CHECK(order.pop() == nullptr);
}

TEST_CASE("a head moves in one direction, then returns") {
    io_order order(true);
    std::vector<std::unique_ptr<test_job>> jobs;
    auto const add = [&](std::int64_t position) {
        jobs.push_back(std::make_unique<test_job>(io_job::direction::write));
        jobs.back()->at(position);
        order.push(jobs.back().get());
    };
    add(50);
    add(10);
    add(90);
    CHECK(order.pop()->position() == device_offset{10});
    CHECK(order.pop()->position() == device_offset{50});
    add(20); // behind the head
    add(60);
    CHECK(order.pop()->position() == device_offset{60});
    CHECK(order.pop()->position() == device_offset{90});
    CHECK(order.pop()->position() == device_offset{20});
    CHECK(order.empty());
}
