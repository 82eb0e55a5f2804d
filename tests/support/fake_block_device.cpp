#include "support/fake_block_device.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <system_error>

#include <sys/mman.h>
#include <unistd.h>

namespace seedbed::test {

namespace {

io_operation io_operation_of(fake_block_device::operation op) {
    switch (op) {
    case fake_block_device::operation::write:
        return io_operation::write;
    case fake_block_device::operation::flush:
        return io_operation::flush;
    case fake_block_device::operation::read:
    case fake_block_device::operation::read_medium:
        break;
    }
    return io_operation::read;
}

bool overlap(std::int64_t a_offset, std::int64_t a_length, std::int64_t b_offset, std::int64_t b_length) {
    // Subtractions, because a fault's length may be the greatest number.
    return a_offset < b_offset ? b_offset - a_offset < a_length : a_offset - b_offset < b_length;
}

template <class Bytes>
auto part_of(Bytes&& bytes, std::int64_t offset, std::size_t length) {
    std::span whole{bytes};
    if (offset < 0 || static_cast<std::size_t>(offset) > whole.size() ||
        length > whole.size() - static_cast<std::size_t>(offset)) {
        throw std::out_of_range("fake_block_device: a test asks for bytes beyond the end");
    }
    return whole.subspan(static_cast<std::size_t>(offset), length);
}

std::int64_t length_of(std::span<std::byte const> buffer) {
    return static_cast<std::int64_t>(buffer.size());
}

} // namespace

/// Records a call, waits at its gate, and counts as running until it is destroyed. Holds the device's mutex.
class fake_block_device::running_call {
public:
    running_call(fake_block_device& device, access const& what)
        : m_device(device)
        , m_lock(device.m_mutex) {
        device.m_accesses.push_back(what);
        bool const writes = what.op == operation::write;
        for (access const& other : device.m_running) {
            if ((writes || other.op == operation::write) && other.op != operation::flush &&
                what.op != operation::flush && overlap(what.offset, what.length, other.offset, other.length)) {
                ++device.m_overlaps;
            }
        }
        device.m_running.push_back(what);
        m_self = std::prev(device.m_running.end());

        gate& my_gate = device.gate_of(what.op);
        if (my_gate.closed) {
            ++my_gate.waiting;
            device.m_changed.notify_all();
            device.m_changed.wait(m_lock, [&, met = my_gate.releases] { return my_gate.releases != met; });
        }
    }
    running_call(running_call const&) = delete;
    running_call& operator=(running_call const&) = delete;
    ~running_call() { m_device.m_running.erase(m_self); }

private:
    fake_block_device& m_device;
    std::unique_lock<std::mutex> m_lock;
    std::list<access>::iterator m_self;
};

void fake_block_device::held_operations::wait_until_waiting(int count) const {
    std::unique_lock lock(m_device->m_mutex);
    if (!m_device->m_changed.wait_for(lock, std::chrono::minutes(1),
                                      [&] { return m_device->gate_of(m_op).waiting >= count; })) {
        throw std::runtime_error("the held calls do not come");
    }
}

void fake_block_device::held_operations::release() {
    if (m_device == nullptr) {
        return;
    }
    fake_block_device& device = *std::exchange(m_device, nullptr);
    std::lock_guard const lock(device.m_mutex);
    gate& my_gate = device.gate_of(m_op);
    my_gate.closed = false;
    my_gate.waiting = 0;
    ++my_gate.releases;
    device.m_changed.notify_all();
}

fake_block_device::fake_block_device(std::int64_t size, std::string path, bool read_only)
    : fake_block_device(std::vector<std::byte>(static_cast<std::size_t>(size)), std::move(path), read_only) {}

fake_block_device::fake_block_device(std::vector<std::byte> contents, std::string path, bool read_only)
    : m_path(std::move(path))
    , m_size(static_cast<std::int64_t>(contents.size()))
    , m_read_only(read_only)
    , m_memory(std::move(contents))
    , m_contents(m_memory)
    , m_medium(m_memory) {}

fake_block_device::~fake_block_device() {
    if (m_descriptor && ::munmap(m_contents.data(), m_contents.size()) != 0) {
        std::abort(); // not a mapping
    }
}

void fake_block_device::give_descriptor() {
    std::lock_guard const lock(m_mutex);
    m_descriptor.reset(::memfd_create(m_path.c_str(), MFD_CLOEXEC));
    auto const size = static_cast<std::size_t>(m_size);
    auto* const memory = m_descriptor && ::ftruncate(m_descriptor.get(), m_size) == 0
                             ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, m_descriptor.get(), 0)
                             : MAP_FAILED;
    if (memory == MAP_FAILED) {
        m_descriptor.reset();
        throw std::system_error(errno, std::generic_category(), "fake_block_device: descriptor");
    }
    m_contents = {static_cast<std::byte*>(memory), size};
    m_memory.clear();
}

std::optional<raw_device> fake_block_device::raw() const noexcept {
    if (!m_descriptor) {
        return std::nullopt;
    }
    raw_device given;
    given.cached = m_descriptor.get();
    given.size = m_size;
    given.writable = !m_read_only;
    return given;
}

device_range fake_block_device::part_in_memory(std::int64_t offset, std::int64_t length) const noexcept {
    std::lock_guard const lock(m_mutex);
    device_range first;
    for (auto const& each : m_faults) {
        auto const begin = std::max(offset, each.offset);
        auto const end = std::min(offset + length, each.length == everything ? everything : each.offset + each.length);
        if (m_descriptor && each.times != 0 && each.op != operation::flush && begin < end &&
            (first.length == 0 || begin < first.offset)) {
            first = {begin, end - begin};
        }
    }
    return first;
}

result<void, io_error> fake_block_device::will_write(std::int64_t offset, std::int64_t length) {
    std::lock_guard const lock(m_mutex);
    mark_unflushed_locked(offset, length);
    return {};
}

result<void, io_error> fake_block_device::read(std::int64_t offset, std::span<std::byte> buffer) {
    return read_from(m_contents, {operation::read, offset, length_of(buffer)}, buffer);
}

result<void, io_error> fake_block_device::read_medium(std::int64_t offset, std::span<std::byte> buffer) {
    return read_from(m_medium, {operation::read_medium, offset, length_of(buffer)}, buffer);
}

result<void, io_error> fake_block_device::read_from(std::span<std::byte const> source, access const& what,
                                                    std::span<std::byte> buffer) {
    running_call const call(*this, what);
    if (auto const met = take_fault_locked(what)) {
        return failure(what, met->code);
    }
    if (what.offset < 0) {
        return failure(what, EINVAL);
    }
    if (what.offset > m_size || what.length > m_size - what.offset) {
        return failure(what, EIO);
    }
    std::ranges::copy(part_of(source, what.offset, buffer.size()), buffer.begin());
    return {};
}

result<void, io_error> fake_block_device::write(std::int64_t offset, std::span<std::byte const> buffer) {
    access const what{operation::write, offset, length_of(buffer)};
    running_call const call(*this, what);
    if (m_read_only) {
        return failure(what, EROFS);
    }
    auto const met = take_fault_locked(what);
    if (met && !met->half_way) {
        return failure(what, met->code);
    }
    if (offset < 0) {
        return failure(what, EINVAL);
    }
    if (offset > m_size || what.length > m_size - offset) {
        return failure(what, ENOSPC);
    }
    if (met) {
        std::ranges::copy(buffer.first(buffer.size() / 2), part_of(m_contents, offset, buffer.size()).begin());
        mark_unflushed_locked(offset, what.length / 2);
        return failure(what, met->code);
    }
    std::ranges::copy(buffer, part_of(m_contents, offset, buffer.size()).begin());
    mark_unflushed_locked(offset, what.length);
    return {};
}

namespace {

std::vector<std::byte> joined(std::span<iovec const> memory) {
    std::vector<std::byte> bytes;
    bytes.reserve(std::accumulate(memory.begin(), memory.end(), std::size_t{0},
                                  [](std::size_t sum, iovec const& piece) { return sum + piece.iov_len; }));
    for (auto const& piece : memory) {
        auto const* const begin = static_cast<std::byte const*>(piece.iov_base);
        bytes.insert(bytes.end(), begin, begin + piece.iov_len);
    }
    return bytes;
}

} // namespace

result<void, io_error> fake_block_device::write(std::int64_t offset, std::span<iovec const> memory) {
    return write(offset, std::span<std::byte const>(joined(memory)));
}

result<void, io_error> fake_block_device::read(std::int64_t offset, std::span<iovec const> memory) {
    auto bytes = joined(memory);
    auto outcome = read(offset, std::span(bytes));
    auto from = bytes.begin();
    for (auto const& piece : memory) {
        auto const length = static_cast<std::ptrdiff_t>(piece.iov_len);
        std::copy_n(from, length, static_cast<std::byte*>(piece.iov_base));
        from += length;
    }
    return outcome;
}

result<void, io_error> fake_block_device::flush() {
    access const what{operation::flush, 0, 0};
    running_call const call(*this, what);
    if (auto const met = m_flush_failed == 0 ? take_fault_locked(what) : std::nullopt) {
        m_flush_failed = met->code;
    }
    if (m_flush_failed != 0) {
        return failure(what, m_flush_failed);
    }
    for (auto const& [begin, end] : m_unflushed) {
        std::copy(m_contents.begin() + begin, m_contents.begin() + end, m_medium.begin() + begin);
    }
    m_unflushed.clear();
    return {};
}

void fake_block_device::forget_failed_flush() {
    std::lock_guard const lock(m_mutex);
    m_flush_failed = 0;
}

void fake_block_device::fail(operation op, int code, std::int64_t offset, std::int64_t length, int times) {
    std::lock_guard const lock(m_mutex);
    m_faults.push_back({op, code, offset, length, times, false});
}

void fake_block_device::fail_half_way(int code, std::int64_t offset, std::int64_t length, int times) {
    std::lock_guard const lock(m_mutex);
    m_faults.push_back({operation::write, code, offset, length, times, true});
}

void fake_block_device::clear_faults() {
    std::lock_guard const lock(m_mutex);
    m_faults.clear();
}

fake_block_device::held_operations fake_block_device::hold(operation op) {
    std::lock_guard const lock(m_mutex);
    gate& the_gate = gate_of(op);
    if (the_gate.closed) {
        throw std::logic_error("fake_block_device: this operation is held already");
    }
    the_gate.closed = true;
    return {*this, op};
}

void fake_block_device::crash() {
    std::lock_guard const lock(m_mutex);
    for (auto const& [begin, end] : m_unflushed) {
        std::copy(m_medium.begin() + begin, m_medium.begin() + end, m_contents.begin() + begin);
    }
    m_unflushed.clear();
}

void fake_block_device::set_contents(std::int64_t offset, std::span<std::byte const> bytes) {
    std::lock_guard const lock(m_mutex);
    std::ranges::copy(bytes, part_of(m_contents, offset, bytes.size()).begin());
    std::ranges::copy(bytes, part_of(m_medium, offset, bytes.size()).begin());
}

void fake_block_device::set_medium(std::int64_t offset, std::span<std::byte const> bytes) {
    std::lock_guard const lock(m_mutex);
    std::ranges::copy(bytes, part_of(m_medium, offset, bytes.size()).begin());
}

std::vector<std::byte> fake_block_device::contents(std::int64_t offset, std::int64_t length) const {
    std::lock_guard const lock(m_mutex);
    auto const part = part_of(m_contents, offset, static_cast<std::size_t>(length));
    return {part.begin(), part.end()};
}

std::vector<std::byte> fake_block_device::medium(std::int64_t offset, std::int64_t length) const {
    std::lock_guard const lock(m_mutex);
    auto const part = part_of(m_medium, offset, static_cast<std::size_t>(length));
    return {part.begin(), part.end()};
}

std::vector<fake_block_device::access> fake_block_device::accesses() const {
    std::lock_guard const lock(m_mutex);
    return m_accesses;
}

std::vector<fake_block_device::access> fake_block_device::accesses(operation op) const {
    std::lock_guard const lock(m_mutex);
    std::vector<access> found;
    std::ranges::copy_if(m_accesses, std::back_inserter(found), [op](access const& a) { return a.op == op; });
    return found;
}

void fake_block_device::clear_accesses() {
    std::lock_guard const lock(m_mutex);
    m_accesses.clear();
}

std::int64_t fake_block_device::unflushed_bytes() const {
    std::lock_guard const lock(m_mutex);
    std::int64_t total = 0;
    for (auto const& [begin, end] : m_unflushed) {
        total += end - begin;
    }
    return total;
}

int fake_block_device::overlaps() const {
    std::lock_guard const lock(m_mutex);
    return m_overlaps;
}

std::optional<fake_block_device::fault> fake_block_device::take_fault_locked(access const& what) {
    auto const hit = std::ranges::find_if(m_faults, [&](fault const& f) {
        return f.op == what.op && f.times != 0 &&
               (f.op == operation::flush || overlap(f.offset, f.length, what.offset, what.length));
    });
    if (hit == m_faults.end()) {
        return std::nullopt;
    }
    if (hit->times != forever) {
        --hit->times;
    }
    return *hit;
}

void fake_block_device::mark_unflushed_locked(std::int64_t offset, std::int64_t length) {
    if (length == 0) {
        return;
    }
    std::int64_t begin = offset;
    std::int64_t end = offset + length;
    auto it = m_unflushed.lower_bound(begin);
    if (it != m_unflushed.begin() && std::prev(it)->second >= begin) {
        --it;
    }
    while (it != m_unflushed.end() && it->first <= end) {
        begin = std::min(begin, it->first);
        end = std::max(end, it->second);
        it = m_unflushed.erase(it);
    }
    m_unflushed.emplace(begin, end);
}

tl::unexpected<io_error> fake_block_device::failure(access const& what, int code) const {
    return tl::make_unexpected(io_error{io_operation_of(what.op), m_path, what.offset, what.length, code});
}

} // namespace seedbed::test
