#include "core/image/ends_last_device.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "core/device/direct_io.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/full_transfer.hpp"
#include "core/device/open_path.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// Disks write this many bytes, the smallest sector, completely or not at all.
constexpr std::int64_t atomic_sector = 512;
/// Where the last end begins: pages are written either directly or through the cache.
constexpr std::int64_t end_alignment = 4096;
/// The ends are read in steps of this many bytes; a step that cannot be read is lost.
constexpr std::int64_t read_step = 65536;

/// The signatures on a device, by position; none if it cannot be probed.
std::vector<disk_signature> signatures_on(std::string const& path) {
    auto found = find_signatures(path).value_or(std::vector<disk_signature>{});
    std::erase_if(found, [](disk_signature const& each) { return each.length == 0; });
    std::ranges::sort(found, {}, &disk_signature::offset);
    return found;
}

} // namespace

ends_last_device::ends_last_device(std::unique_ptr<block_device> device, extent_map const& image,
                                   device_ends const& ends)
    : m_device(std::move(device)) {
    auto const last = std::max((image.device_end() - ends.last) / end_alignment * end_alignment, ends.first);
    auto const add = [this](std::int64_t begin, std::int64_t end) {
        if (begin < end) {
            m_parts.push_back({begin, end - begin, m_bytes});
            m_bytes += static_cast<std::size_t>(end - begin);
        }
    };
    for (auto const& each : image.extents()) {
        if (each.device_offset != extent::padding) {
            auto const end = each.device_offset + each.length;
            add(each.device_offset, std::min(end, ends.first));
            add(std::max(each.device_offset, last), ends.last > 0 ? end : 0);
        }
    }
}

ends_last_device::~ends_last_device() = default;

// --- ranges

device_range ends_last_device::next_part(std::int64_t offset, std::int64_t length) const noexcept {
    auto const part = std::ranges::upper_bound(m_parts, offset, {}, &end_part::end);
    if (part == m_parts.end() || part->offset >= offset + length) {
        return {};
    }
    auto const begin = std::max(offset, part->offset);
    return {begin, std::min(offset + length, part->end()) - begin};
}

bool ends_last_device::touches(std::int64_t offset, std::int64_t length) const noexcept {
    return next_part(offset, length).length > 0;
}

device_range ends_last_device::part_in_memory(std::int64_t offset, std::int64_t length) const noexcept {
    return holds_back() ? next_part(offset, length) : device_range{};
}

std::span<std::byte> ends_last_device::bytes_locked(device_range const& range) noexcept {
    if (m_memory.empty()) {
        return {};
    }
    auto const part = std::ranges::upper_bound(m_parts, range.offset, {}, &end_part::end);
    return std::span(m_memory).subspan(part->begin + static_cast<std::size_t>(range.offset - part->offset),
                                       static_cast<std::size_t>(range.length));
}

// --- transfers

/// Calls \p through(offset, memory) or \p copy(range, memory) with each part of a transfer, until one fails.
template <class Through, class Copy>
result<void, io_error> ends_last_device::split(std::int64_t offset, std::span<iovec const> memory,
                                               Through const& through, Copy const& copy) {
    auto const length = length_of(memory);
    auto next = part_in_memory(offset, length);
    if (next.length == 0) {
        return through(offset, memory);
    }
    std::vector<iovec> part(memory.size());
    memory_cursor cursor(memory);
    auto const take = [&](std::int64_t bytes) {
        auto const taken = std::span(std::as_const(part)).first(cursor.peek(bytes, part));
        cursor.skip(bytes);
        return taken;
    };
    for (auto const end = offset + length; offset < end; next = part_in_memory(offset, end - offset)) {
        auto const stop = next.length > 0 ? next.offset : end;
        if (stop > offset) {
            if (auto done = through(offset, take(stop - offset)); !done) {
                return done;
            }
        }
        if (next.length > 0) {
            if (auto done = copy(next, take(next.length)); !done) {
                return done;
            }
        }
        offset = stop + next.length;
    }
    return {};
}

result<void, io_error> ends_last_device::read(std::int64_t offset, std::span<iovec const> memory) {
    auto const through = [this](std::int64_t at, std::span<iovec const> to) { return m_device->read(at, to); };
    auto const copy = [this, &through](device_range const& range, std::span<iovec const> to) {
        std::unique_lock lock(m_mutex);
        auto from = bytes_locked(range);
        if (from.empty()) { // they were written meanwhile
            lock.unlock();
            return through(range.offset, to);
        }
        for (auto const& each : to) {
            std::memcpy(each.iov_base, from.data(), each.iov_len);
            from = from.subspan(each.iov_len);
        }
        return result<void, io_error>();
    };
    return split(offset, memory, through, copy);
}

result<void, io_error> ends_last_device::write(std::int64_t offset, std::span<iovec const> memory) {
    auto const through = [this](std::int64_t at, std::span<iovec const> from) { return m_device->write(at, from); };
    auto const copy = [this, &through](device_range const& range, std::span<iovec const> from) {
        std::unique_lock lock(m_mutex);
        auto to = bytes_locked(range);
        if (to.empty()) {
            lock.unlock();
            return through(range.offset, from);
        }
        for (auto const& each : from) {
            std::memcpy(to.data(), each.iov_base, each.iov_len);
            to = to.subspan(each.iov_len);
        }
        return result<void, io_error>();
    };
    return before_write().and_then([&] { return split(offset, memory, through, copy); });
}

result<void, io_error> ends_last_device::read(std::int64_t offset, std::span<std::byte> buffer) {
    iovec const whole{buffer.data(), buffer.size()};
    return read(offset, std::span(&whole, 1));
}

result<void, io_error> ends_last_device::write(std::int64_t offset, std::span<std::byte const> buffer) {
    iovec const whole{const_cast<std::byte*>(buffer.data()), buffer.size()}; // only read
    return write(offset, std::span(&whole, 1));
}

// --- holding back

std::vector<extent> ends_last_device::hold_back() {
    if (holds_back() || m_parts.empty()) {
        return {};
    }
    std::vector<std::byte> memory(m_bytes);
    auto lost = read_ends(memory);
    std::scoped_lock const lock(m_mutex);
    m_memory = std::move(memory);
    m_erased.store(false, std::memory_order_relaxed);
    m_holds.store(true, std::memory_order_release);
    return lost;
}

/// \return what cannot be read.
std::vector<extent> ends_last_device::read_ends(std::span<std::byte> memory) {
    std::vector<extent> lost;
    for (auto const& part : m_parts) {
        for (std::int64_t at = 0; at < part.length; at += read_step) {
            auto const step = std::min(read_step, part.length - at);
            auto const to = memory.subspan(part.begin + static_cast<std::size_t>(at), static_cast<std::size_t>(step));
            if (!m_device->read(part.offset + at, to)) {
                std::ranges::fill(to, std::byte{});
                lost.push_back({part.offset + at, step});
            }
        }
    }
    return lost;
}

result<void, io_error> ends_last_device::before_write() {
    if (!holds_back() || m_erased.load(std::memory_order_acquire)) {
        return {};
    }
    std::scoped_lock const lock(m_erasing);
    if (m_erased.load(std::memory_order_relaxed)) {
        return {};
    }
    return erase_ends().map([this] { m_erased.store(true, std::memory_order_release); });
}

result<void, io_error> ends_last_device::will_write(std::int64_t offset, std::int64_t length) {
    return before_write().and_then([&] { return m_device->will_write(offset, length); });
}

result<void, io_error> ends_last_device::erase_ends() {
    for (auto const& signature : signatures_on(open_path(*m_device))) {
        std::vector<device_range> magic;
        auto const end = signature.offset + signature.length;
        for (auto part = next_part(signature.offset, signature.length); part.length > 0;) {
            magic.push_back(part);
            auto const at = part.offset + part.length;
            part = next_part(at, end - at);
        }
        if (auto erased = erase(magic); !erased) {
            return erased;
        }
    }
    std::vector<device_range> all;
    std::ranges::transform(m_parts, std::back_inserter(all), [](end_part const& part) {
        return device_range{part.offset, part.length};
    });
    return erase(all);
}

/// Writes zeros, and flushes.
result<void, io_error> ends_last_device::erase(std::vector<device_range> const& ranges) {
    for (auto const& range : ranges) {
        std::vector<std::byte> const zeros(static_cast<std::size_t>(range.length));
        if (auto written = m_device->write(range.offset, zeros); !written) {
            return written;
        }
    }
    return ranges.empty() ? result<void, io_error>() : m_device->flush();
}

result<void, io_error> ends_last_device::write_ends() {
    if (auto flushed = m_device->flush(); !flushed || !holds_back()) {
        return flushed;
    }
    auto const order = m_erased.load(std::memory_order_acquire) ? sectors_in_order() : sector_groups{};
    for (auto const& sectors : order) {
        for (auto const& range : sectors) {
            // Not locked: transfers only read these bytes now.
            if (auto written = m_device->write(range.offset, bytes_locked(range)); !written) {
                return written;
            }
        }
        if (auto flushed = sectors.empty() ? result<void, io_error>() : m_device->flush(); !flushed) {
            return flushed;
        }
    }
    std::scoped_lock const lock(m_mutex);
    m_holds.store(false, std::memory_order_release);
    m_memory = {};
    return {};
}

ends_last_device::sector_groups ends_last_device::sectors_in_order() const {
    // libblkid sees only the ends. If it needs other bytes to recognise the content, as for NTFS, the signature is in
    // the first sector.
    std::set<std::int64_t> recognised;
    unique_fd const copy(::memfd_create("ends", MFD_CLOEXEC));
    auto const put = [&](end_part const& part) {
        auto const call = [&](std::byte const* from, std::size_t count, std::int64_t at) {
            return ::pwrite(copy.get(), from, count, at);
        };
        auto const bytes = std::span(m_memory).subspan(part.begin, static_cast<std::size_t>(part.length));
        return transfer_fully(call, part.offset, bytes) == 0;
    };
    if (copy && ::ftruncate(copy.get(), m_device->size()) == 0 && std::ranges::all_of(m_parts, put)) {
        for (auto const& signature : signatures_on("/proc/self/fd/" + std::to_string(copy.get()))) {
            for (auto at = signature.offset / atomic_sector * atomic_sector; at < signature.offset + signature.length;
                 at += atomic_sector) {
                if (touches(at, atomic_sector)) {
                    recognised.insert(at);
                }
            }
        }
    }
    if (recognised.empty()) {
        recognised.insert(m_parts.front().offset / atomic_sector * atomic_sector);
    }
    sector_groups order;
    for (auto const& part : m_parts) {
        for (auto at = part.offset; at < part.end();) {
            auto const sector = at / atomic_sector * atomic_sector;
            auto const next = recognised.upper_bound(sector);
            auto const is_recognised = recognised.contains(sector);
            auto const stop = is_recognised ? sector + atomic_sector : next == recognised.end() ? part.end() : *next;
            auto const end = std::min(stop, part.end());
            auto& group = order.at(!is_recognised ? 0 : sector == *recognised.begin() ? 2 : 1);
            group.push_back({at, end - at});
            at = end;
        }
    }
    return order;
}

} // namespace seedbed
