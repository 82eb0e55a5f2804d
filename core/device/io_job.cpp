#include "core/device/io_job.hpp"

namespace seedbed {

void io_job::add(std::int64_t offset, std::byte* memory, std::size_t length) {
    auto const follows_on_device = !m_segments.empty() && m_segments.back().offset + m_segments.back().length == offset;
    if (!follows_on_device) {
        m_segments.push_back({offset, 0, static_cast<std::uint32_t>(m_parts.size()), 0});
    }
    auto& to = m_segments.back();
    to.length += static_cast<std::int64_t>(length);
    if (to.count > 0) {
        auto& last = m_parts.back();
        if (static_cast<std::byte*>(last.iov_base) + last.iov_len == memory) {
            last.iov_len += length;
            return;
        }
    }
    m_parts.push_back({memory, length});
    ++to.count;
}

} // namespace seedbed
