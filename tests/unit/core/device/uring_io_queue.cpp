#include "core/device/uring_io_queue.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/file_block_device.hpp"
#include "core/foundation/unique_fd.hpp"
#include "support/failing_system_call.hpp"
#include "support/loop_device.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

using bytes = std::vector<std::byte>;
constexpr std::int64_t mib = 1024 * 1024;

/// A device whose descriptor is a socket: a read stays in the kernel until the other end sends data.
class socket_device final : public block_device {
public:
    socket_device() {
        int ends[2] = {-1, -1};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        m_fd.reset(ends[0]);
        m_other_end.reset(ends[1]);
    }

    /// Waits for bytes of the device and reads them.
    void expect(std::size_t count) const {
        bytes buffer(count);
        REQUIRE(::recv(m_other_end.get(), buffer.data(), count, MSG_WAITALL) == static_cast<ssize_t>(count));
    }
    void send(bytes const& sent) const {
        REQUIRE(::send(m_other_end.get(), sent.data(), sent.size(), 0) == static_cast<ssize_t>(sent.size()));
    }

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return mib; }
    [[nodiscard]] bool read_only() const noexcept override { return false; }
    [[nodiscard]] std::optional<raw_device> raw() const noexcept override {
        raw_device made;
        made.cached = m_fd.get();
        made.size = mib;
        made.writable = true;
        return made;
    }
    [[nodiscard]] result<void, io_error> read(std::int64_t, std::span<std::byte>) override { return {}; }
    [[nodiscard]] result<void, io_error> write(std::int64_t, std::span<std::byte const>) override { return {}; }
    [[nodiscard]] result<void, io_error> read(std::int64_t, std::span<iovec const>) override { return {}; }
    [[nodiscard]] result<void, io_error> write(std::int64_t, std::span<iovec const>) override { return {}; }
    [[nodiscard]] result<void, io_error> flush() override { return {}; }
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t, std::span<std::byte>) override { return {}; }

private:
    std::string const m_path = "socket";
    unique_fd m_fd;
    unique_fd m_other_end;
};

class test_job final : public io_job {
public:
    test_job(direction way, std::span<std::byte> memory, std::int64_t offset = 0)
        : io_job(way) {
        add(offset, memory.data(), memory.size());
    }

    void prepare() override { ++prepared; }
    void end(result<void, io_error> const& outcome) override {
        ended_with = outcome;
        ++ended;
        if (then) {
            then();
        }
        m_done.release();
    }
    /// Whether it has ended within a minute.
    [[nodiscard]] bool wait() { return m_done.try_acquire_for(std::chrono::minutes(1)); }
    [[nodiscard]] bool ended_now() { return m_done.try_acquire(); }
    [[nodiscard]] int code() const { return ended_with ? 0 : ended_with.error().code; }

    std::function<void()> then; ///< called at its end, on the ring's thread
    int prepared = 0;
    int ended = 0;
    result<void, io_error> ended_with;

private:
    std::binary_semaphore m_done{0};
};

/// The queue and the jobs of a ring that fails.
struct broken_ring {
    broken_ring() {
        auto made = make_uring_io_queue(device, {.queue_depth = 8}, {});
        if (made) {
            queue = std::move(*made);
        }
        signal.then = [this] {
            fail_system_calls_of_this_thread({SYS_io_uring_enter}, EPERM);
            queue->submit(&never_taken);
        };
    }

    /// Breaks the ring while the kernel reads for `taken`, and before it gets `never_taken`.
    void break_down() {
        queue->submit(&taken);
        queue->submit(&signal); // a write: everything submitted before it has reached the kernel, too
        device.expect(memory.size());
        REQUIRE(signal.wait());
    }

    socket_device device;
    bytes memory = bytes(1000);
    bytes target = bytes(1000);
    test_job taken{io_job::direction::read, target};
    test_job signal{io_job::direction::write, memory};
    test_job never_taken{io_job::direction::write, memory};
    test_job later{io_job::direction::read, memory};
    std::unique_ptr<io_queue> queue; ///< last: it ends before its jobs are destroyed
};

} // namespace

#define REQUIRE_RING(made)                                                                                             \
    if (!(made)) {                                                                                                     \
        WARN("SKIPPED: no io_uring here");                                                                             \
        return;                                                                                                        \
    }

TEST_CASE("if a ring fails, each job ends once, with an error, and later jobs end at once") {
    SEEDBED_REQUIRE_SECCOMP();
    broken_ring ring;
    REQUIRE_RING(ring.queue);
    ring.break_down();
    REQUIRE(ring.never_taken.wait());
    CHECK(ring.never_taken.code() == EPERM);
    CHECK(ring.never_taken.ended_with.error().operation == io_operation::write);
    CHECK(ring.never_taken.ended_with.error().device == "socket");
    CHECK(ring.never_taken.prepared == 1);

    // Half of the read completes, and the other half cannot be requested.
    ring.device.send(bytes(500, std::byte{7}));
    REQUIRE(ring.taken.wait());
    CHECK(ring.taken.code() == EPERM);
    CHECK(ring.target[499] == std::byte{7});

    ring.queue->submit(&ring.later);
    REQUIRE(ring.later.wait());
    CHECK(ring.later.code() == EPERM);
    CHECK(ring.later.prepared == 1);
    CHECK(ring.queue->current_progress().pending == 0);
    ring.queue.reset();
    for (auto const* job : {&ring.taken, &ring.signal, &ring.never_taken, &ring.later}) {
        CHECK(job->ended == 1);
    }
}

TEST_CASE("a failed ring does not return memory that the kernel may still write to") {
    SEEDBED_REQUIRE_SECCOMP();
    broken_ring ring;
    REQUIRE_RING(ring.queue);
    ring.break_down();
    REQUIRE(ring.never_taken.wait());
    CHECK_FALSE(ring.taken.ended_now());
    CHECK(ring.queue->current_progress().pending == 1);
    ring.device.send(bytes(1000, std::byte{7}));
    REQUIRE(ring.taken.wait());
    CHECK(ring.taken.code() == 0); // the kernel has done all of it
    CHECK(ring.target == bytes(1000, std::byte{7}));
}

TEST_CASE("a ring that fails from the start ends its jobs and itself") {
    SEEDBED_REQUIRE_SECCOMP();
    socket_device device;
    bytes memory(1000);
    test_job job(io_job::direction::read, memory);
    bool const made = with_failing_system_calls({SYS_io_uring_enter}, EPERM, [&] {
        auto queue = make_uring_io_queue(device, {}, {}); // its thread is this one's child
        if (queue) {
            (*queue)->submit(&job);
        }
        return queue.has_value();
    });
    REQUIRE_RING(made);
    CHECK(job.ended == 1);
    CHECK(job.code() == EPERM);
}

TEST_CASE("a ring's thread makes no system call that waits for write-back") {
    SEEDBED_REQUIRE_SECCOMP();
    temp_dir folder;
    auto const path = folder / "disk.img";
    {
        unique_fd const fd(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(fd.get(), 64 * mib) == 0);
    }
    device_requirements wanted;
    wanted.writable = true;
    auto const device = open_block_device(path.string(), wanted);
    REQUIRE(device);
    bytes memory(8 * mib, std::byte{3});
    // A separate call would fail the write.
    int ended = 0;
    int failed = 0;
    bool const made = with_failing_system_calls({SYS_sync_file_range}, EIO, [&] {
        auto queue = make_uring_io_queue(**device, {.queue_depth = 4}, {});
        if (!queue) {
            return false;
        }
        for (int i = 0; i < 4; ++i) {
            test_job job(io_job::direction::write, memory);
            (*queue)->submit(&job);
            if (!job.wait()) {
                std::abort(); // the queue still has the job
            }
            ended += job.ended;
            failed += job.code() == 0 ? 0 : 1;
        }
        return true;
    });
    REQUIRE_RING(made);
    CHECK(ended == 4);
    CHECK(failed == 0);
    CHECK((*device)->flush());
}

TEST_CASE("failed write-back fails the write that waits for it, and every flush") {
    temp_dir folder;
    auto const path = folder / "disk.img";
    {
        unique_fd const fd(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
        REQUIRE(::ftruncate(fd.get(), 64 * mib) == 0);
    }
    device_requirements wanted;
    wanted.writable = true;
    auto const device = open_block_device(path.string(), wanted);
    REQUIRE(device);
    CHECK((*device)->wrote_back(mib, ESPIPE));
    CHECK((*device)->flush());
    auto const outcome = (*device)->wrote_back(mib, EIO);
    REQUIRE_FALSE(outcome);
    CHECK(outcome.error().operation == io_operation::write);
    CHECK((*device)->flush().error().code == EIO);
    CHECK((*device)->flush().error().code == EIO);
}

TEST_CASE("a page that is lost while a ring waits for write-back fails that write") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    temp_dir const folder;
    std::filesystem::create_directory(folder / "small");
    // Room for only a part of the disk.
    mounted const small("none", folder / "small", "tmpfs", 0, "size=1m");
    loop_device const loop({.size = 128 * mib, .folder = folder / "small"});
    device_requirements wanted;
    wanted.writable = true;
    auto const device = open_block_device(loop.path(), wanted);
    REQUIRE(device);
    auto queue = make_uring_io_queue(**device, {.queue_depth = 1}, {});
    REQUIRE_RING(queue);
    bytes memory(mib, std::byte{9});
    std::int64_t taken = 0;
    int code = 0;
    for (; code == 0 && taken < 128 * mib; taken += mib) {
        test_job job(io_job::direction::write, memory, taken);
        (*queue)->submit(&job);
        REQUIRE(job.wait());
        code = job.code();
    }
    CHECK((code == EIO || code == ENOSPC));
    CHECK(taken <= 16 * mib); // the write-back started after 8 MiB is awaited after 16
    auto const flushed = (*device)->flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().code == code);
    CHECK(flushed.error().length == taken);
}
