#include "support/fake_block_device.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

#include <unistd.h>

#include <catch2/catch.hpp>

using namespace seedbed;
using seedbed::test::fake_block_device;
using operation = fake_block_device::operation;
using call = fake_block_device::access;

namespace {

using bytes = std::vector<std::byte>;

bytes filled(std::size_t length, int value) {
    return bytes(length, std::byte(value));
}

/// The bytes that \p read puts into a buffer.
template <class Read>
bytes read_with(Read read, std::size_t length) {
    bytes buffer = filled(length, 0xee);
    REQUIRE(read(buffer));
    return buffer;
}

} // namespace

TEST_CASE("a fake device begins as zeros, durably") {
    fake_block_device device(1000, "disk");
    CHECK(device.path() == "disk");
    CHECK(device.size() == 1000);
    CHECK_FALSE(device.read_only());
    CHECK(read_with([&](auto& to) { return device.read(0, to); }, 1000) == filled(1000, 0));
    CHECK(read_with([&](auto& to) { return device.read_medium(0, to); }, 1000) == filled(1000, 0));
    CHECK(device.unflushed_bytes() == 0);
}

TEST_CASE("read sees written data at once, and read_medium after a flush") {
    fake_block_device device(100);
    REQUIRE(device.write(10, filled(5, 1)));
    CHECK(read_with([&](auto& to) { return device.read(10, to); }, 5) == filled(5, 1));
    CHECK(read_with([&](auto& to) { return device.read_medium(10, to); }, 5) == filled(5, 0));
    CHECK(device.unflushed_bytes() == 5);
    REQUIRE(device.flush());
    CHECK(read_with([&](auto& to) { return device.read_medium(10, to); }, 5) == filled(5, 1));
    CHECK(device.unflushed_bytes() == 0);
}

TEST_CASE("a crash discards unflushed data only") {
    fake_block_device device(100);
    REQUIRE(device.write(0, filled(10, 1)));
    REQUIRE(device.flush());
    REQUIRE(device.write(5, filled(10, 2)));
    REQUIRE(device.write(40, filled(10, 3)));
    device.crash();
    CHECK(device.contents(0, 10) == filled(10, 1));
    CHECK(device.contents(10, 90) == filled(90, 0));
    CHECK(device.unflushed_bytes() == 0);
}

TEST_CASE("overlapping unflushed bytes are counted once") {
    fake_block_device device(100);
    REQUIRE(device.write(20, filled(10, 1)));
    REQUIRE(device.write(40, filled(10, 1)));
    CHECK(device.unflushed_bytes() == 20);
    REQUIRE(device.write(25, filled(5, 1)));
    CHECK(device.unflushed_bytes() == 20);
    REQUIRE(device.write(30, filled(10, 1))); // closes the gap
    CHECK(device.unflushed_bytes() == 30);
    REQUIRE(device.write(10, filled(80, 1)));
    CHECK(device.unflushed_bytes() == 80);
}

TEST_CASE("transfers beyond the end fail and change nothing") {
    fake_block_device device(100);
    bytes buffer = filled(11, 9);
    auto const read = device.read(90, buffer);
    REQUIRE_FALSE(read);
    CHECK(read.error().code == EIO);
    auto const written = device.write(90, buffer);
    REQUIRE_FALSE(written);
    CHECK(written.error().code == ENOSPC);
    CHECK(device.contents(0, 100) == filled(100, 0));
    CHECK(device.read(-1, buffer).error().code == EINVAL);
    CHECK(device.write(-1, buffer).error().code == EINVAL);
    CHECK_THROWS_AS(device.contents(90, 11), std::out_of_range);
}

TEST_CASE("a read-only fake refuses writes") {
    fake_block_device device(100, "disk", true);
    CHECK(device.read_only());
    auto const written = device.write(0, filled(10, 1));
    REQUIRE_FALSE(written);
    CHECK(written.error().code == EROFS);
    CHECK(device.contents(0, 100) == filled(100, 0));
}

TEST_CASE("a fault hits the operation, the range and the number of calls that it names") {
    fake_block_device device(100, "disk");
    bytes buffer = filled(10, 1);
    device.fail(operation::write, EIO, 20, 10, 2);

    CHECK(device.write(10, buffer)); // ends where the fault begins
    CHECK(device.write(30, buffer));
    CHECK(device.read(20, buffer));
    for (int i = 0; i < 2; ++i) {
        auto const written = device.write(25, filled(10, 2));
        REQUIRE_FALSE(written);
        CHECK(written.error().message() == "write disk: offset 25, length 10: Input/output error (EIO)");
    }
    CHECK(device.contents(20, 10) == filled(10, 0));
    CHECK(device.write(20, buffer)); // used up

    device.fail(operation::read, ENOMEM);
    CHECK(device.read(0, buffer).error().code == ENOMEM);
    CHECK(device.read(90, buffer).error().code == ENOMEM);
    CHECK(device.read_medium(0, buffer));
    device.clear_faults();
    CHECK(device.read(0, buffer));
}

TEST_CASE("a flush that fails makes nothing durable and stays failed") {
    fake_block_device device(100, "disk");
    REQUIRE(device.write(0, filled(10, 1)));
    device.fail(operation::flush, EIO, 0, fake_block_device::everything, 1);
    auto const flushed = device.flush();
    REQUIRE_FALSE(flushed);
    CHECK(flushed.error().message() == "flush disk: Input/output error (EIO)");
    device.clear_faults();
    REQUIRE_FALSE(device.flush());
    CHECK(device.flush().error().code == EIO);
    CHECK(device.medium(0, 10) == filled(10, 0));
    CHECK(device.unflushed_bytes() == 10);
}

TEST_CASE("every call is recorded in order, except the test's own") {
    fake_block_device device(100);
    bytes buffer = filled(10, 1);
    device.set_contents(0, buffer);
    device.fail(operation::write, EIO, 50, 10);
    REQUIRE(device.read(1, buffer));
    REQUIRE_FALSE(device.write(55, buffer));
    REQUIRE(device.flush());
    REQUIRE(device.read_medium(3, buffer));
    CHECK(device.accesses() == std::vector<call>{{operation::read, 1, 10},
                                                 {operation::write, 55, 10},
                                                 {operation::flush, 0, 0},
                                                 {operation::read_medium, 3, 10}});
    CHECK(device.accesses(operation::write) == std::vector<call>{{operation::write, 55, 10}});
    device.clear_accesses();
    CHECK(device.accesses().empty());
}

TEST_CASE("a lying disk shows data that the medium does not hold") {
    fake_block_device device(100);
    device.set_contents(0, filled(10, 1));
    CHECK(device.medium(0, 10) == filled(10, 1));
    device.set_medium(0, filled(10, 2));
    CHECK(device.contents(0, 10) == filled(10, 1));
    CHECK(device.medium(0, 10) == filled(10, 2));
}

TEST_CASE("held calls wait before they do anything; other calls do not") {
    fake_block_device device(100);
    std::future<bool> write;
    {
        auto held = device.hold(operation::write);
        write = std::async(std::launch::async, [&] { return device.write(0, filled(10, 1)).has_value(); });
        held.wait_until_waiting();
        CHECK(device.accesses(operation::write).size() == 1);
        CHECK(device.contents(0, 10) == filled(10, 0));
        bytes buffer = filled(10, 9);
        CHECK(device.read(50, buffer));
        CHECK(device.flush());
        CHECK_THROWS_AS(device.hold(operation::write), std::logic_error);
    }
    CHECK(write.get());
    CHECK(device.contents(0, 10) == filled(10, 1));
}

TEST_CASE("a hold waits for the given number of calls") {
    fake_block_device device(100);
    std::vector<std::future<bool>> writes;
    auto held = device.hold(operation::write);
    for (int i = 0; i < 3; ++i) {
        writes.push_back(
            std::async(std::launch::async, [&, i] { return device.write(i * 10, filled(10, 1)).has_value(); }));
    }
    held.wait_until_waiting(3);
    CHECK(device.accesses(operation::write).size() == 3);
    CHECK(device.unflushed_bytes() == 0);
    held.release();
    for (auto& write : writes) {
        CHECK(write.get());
    }
    CHECK(device.unflushed_bytes() == 30);
}

TEST_CASE("a call that was released is not caught by the next hold") {
    for (int round = 0; round < 20; ++round) {
        fake_block_device device(100);
        std::future<bool> write;
        auto first = device.hold(operation::write);
        write = std::async(std::launch::async, [&] { return device.write(0, filled(10, 1)).has_value(); });
        first.wait_until_waiting();
        first.release();
        auto second = device.hold(operation::write);
        REQUIRE(write.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
    }
}

TEST_CASE("overlapping calls that run at the same time are counted if one of them writes") {
    fake_block_device device(100);
    CHECK(device.overlaps() == 0);
    std::future<bool> read;
    {
        auto held_reads = device.hold(operation::read);
        read = std::async(std::launch::async, [&] {
            bytes buffer = filled(20, 0);
            return device.read(0, buffer).has_value();
        });
        held_reads.wait_until_waiting();
        REQUIRE(device.write(20, filled(10, 1))); // next to it
        bytes buffer = filled(20, 0);
        REQUIRE(device.read_medium(0, buffer)); // two reads do not conflict
        REQUIRE(device.flush());
        CHECK(device.overlaps() == 0);
        REQUIRE(device.write(10, filled(10, 1)));
        CHECK(device.overlaps() == 1);
    }
    CHECK(read.get());
    REQUIRE(device.write(0, filled(20, 1))); // no other call runs
    CHECK(device.overlaps() == 1);
}

TEST_CASE("a write may fail half-way") {
    fake_block_device device(1000);
    device.fail_half_way(EIO, 0, 1000, 1);
    auto const failed = device.write(100, filled(10, 7));
    REQUIRE_FALSE(failed);
    CHECK(failed.error().code == EIO);
    CHECK(device.contents(95, 20) == [] {
        auto expected = filled(20, 0);
        std::fill_n(expected.begin() + 5, 5, std::byte{7});
        return expected;
    }());
    CHECK(device.unflushed_bytes() == 5);
    REQUIRE(device.write(100, filled(10, 8)));
    CHECK(device.contents(100, 10) == filled(10, 8));
}

TEST_CASE("a descriptor leads to the bytes that read() sees, and not to the medium") {
    fake_block_device device(1000);
    CHECK_FALSE(device.raw());
    device.give_descriptor();
    auto const raw = device.raw();
    REQUIRE(raw);
    CHECK(raw->size == 1000);
    CHECK(raw->writable);
    auto const data = filled(10, 7);
    REQUIRE(device.will_write(100, 10));
    REQUIRE(::pwrite(raw->cached, data.data(), data.size(), 100) == 10);
    CHECK(read_with([&](auto& to) { return device.read(100, to); }, 10) == data);
    CHECK(device.medium(100, 10) == filled(10, 0));
    REQUIRE(device.flush());
    CHECK(device.medium(100, 10) == data);
    REQUIRE(device.will_write(100, 10));
    REQUIRE(::pwrite(raw->cached, filled(10, 9).data(), 10, 100) == 10);
    device.crash();
    CHECK(device.contents(100, 10) == data);
}
