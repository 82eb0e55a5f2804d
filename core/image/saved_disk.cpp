#include "core/image/saved_disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace seedbed {

void saved_disk::add(std::int64_t start, std::string bytes) {
    m_parts.push_back({start, std::move(bytes), std::nullopt});
}

void saved_disk::add(std::int64_t start, saved_partition partition) {
    m_parts.push_back({start, {}, std::move(partition)});
}

std::vector<packed_range> saved_disk::ranges(std::int32_t sector_size) const {
    std::vector<packed_range> all;
    for (auto const& each : m_parts) {
        auto const length = each.end() - each.start;
        auto const used = each.partition ? each.partition->used() : std::vector<extent>{{0, length}};
        for (auto const& range : ranges_of(used, sector_size, length)) {
            all.push_back({each.start + range.offset, range.length, range.zeros});
        }
    }
    return all;
}

io_profile saved_disk::profile() {
    auto profile = default_profile(storage_class::hdd);
    profile.threads = 1;
    profile.queue_depth = 1;
    profile.io_engine = io_engine_kind::threads;
    profile.elevator = false;
    return profile;
}

saved_partition const* saved_disk::partition_at(std::int64_t start) const noexcept {
    auto const found = std::ranges::find(m_parts, start, &part::start);
    return found != m_parts.end() && found->partition ? &*found->partition : nullptr;
}

result<void> saved_disk::finish_part() {
    auto& current = m_parts[m_current++];
    return current.partition ? current.partition->finish() : result<void>();
}

result<void> saved_disk::finish() {
    while (m_current < m_parts.size()) {
        if (auto ended = finish_part(); !ended) {
            return ended;
        }
    }
    return {};
}

result<void> saved_disk::read_parts(std::int64_t offset, std::span<std::byte> buffer) {
    while (!buffer.empty()) {
        while (m_current < m_parts.size() && m_parts[m_current].end() <= offset) {
            if (auto ended = finish_part(); !ended) {
                return ended;
            }
        }
        if (m_current == m_parts.size() || offset < m_parts[m_current].start) {
            return tl::unexpected(error{m_path + ": byte " + std::to_string(offset) + " is not in its files"});
        }
        auto& current = m_parts[m_current];
        auto const within = offset - current.start;
        auto const length = std::min(static_cast<std::int64_t>(buffer.size()), current.end() - offset);
        auto const bytes = buffer.first(static_cast<std::size_t>(length));
        if (!current.partition) {
            std::memcpy(bytes.data(), current.bytes.data() + within, bytes.size());
        } else if (auto read = current.partition->read(within, bytes); !read) {
            return read;
        }
        offset += length;
        buffer = buffer.subspan(bytes.size());
    }
    return {};
}

result<void, io_error> saved_disk::read(std::int64_t offset, std::span<std::byte> buffer) {
    if (!m_failure) {
        auto const done = read_parts(offset, buffer);
        if (done) {
            return {};
        }
        m_failure = done.error();
    }
    return tl::make_unexpected(make_io_error(io_operation::read, m_path, device_offset{offset},
                                             static_cast<std::int64_t>(buffer.size()), EIO));
}

result<void, io_error> saved_disk::read(std::int64_t offset, std::span<iovec const> memory) {
    for (auto const& each : memory) {
        if (auto done = read(offset, std::span(static_cast<std::byte*>(each.iov_base), each.iov_len)); !done) {
            return done;
        }
        offset += static_cast<std::int64_t>(each.iov_len);
    }
    return {};
}

result<void, io_error> saved_disk::read_medium(std::int64_t offset, std::span<std::byte> buffer) {
    return read(offset, buffer);
}

tl::unexpected<io_error> saved_disk::refuse_write(std::int64_t offset) const {
    return tl::make_unexpected(make_io_error(io_operation::write, m_path, device_offset{offset}, 0, EROFS));
}

result<void, io_error> saved_disk::write(std::int64_t offset, std::span<std::byte const> /*buffer*/) {
    return refuse_write(offset);
}

result<void, io_error> saved_disk::write(std::int64_t offset, std::span<iovec const> /*memory*/) {
    return refuse_write(offset);
}

} // namespace seedbed
