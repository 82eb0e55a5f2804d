#include "core/cache/dirty_blocks.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

namespace seedbed {

bool dirty_blocks::add(dirty_block block) {
    std::scoped_lock const lock(m_mutex);
    auto& blocks = m_blocks[block.stream_offset].blocks;
    blocks.push_back(std::move(block));
    return blocks.size() == 1;
}

dirty_block dirty_blocks::finish(std::int64_t stream_offset) {
    dirty_block done; // freed after the lock
    std::vector<std::function<void()>> calls;
    {
        std::scoped_lock const lock(m_mutex);
        auto const found = m_blocks.find(stream_offset);
        auto& blocks = found->second.blocks;
        done = std::move(blocks.front());
        blocks.erase(blocks.begin());
        if (!blocks.empty()) {
            return blocks.front();
        }
        m_blocks.erase(found);
        if (m_blocks.empty()) {
            calls.swap(m_when_empty);
        }
    }
    for (auto const& call : calls) {
        call();
    }
    return {};
}

std::vector<dirty_block> dirty_blocks::overlapping(std::int64_t stream_offset, std::int64_t length) const {
    std::vector<dirty_block> found;
    std::scoped_lock const lock(m_mutex);
    auto at = m_blocks.lower_bound(stream_offset);
    if (at != m_blocks.begin()) {
        auto const before = std::prev(at);
        auto const& newest = before->second.blocks.back();
        if (newest.stream_offset + newest.length > stream_offset) {
            at = before;
        }
    }
    for (; at != m_blocks.end() && at->first < stream_offset + length; ++at) {
        found.push_back(at->second.blocks.back());
    }
    return found;
}

bool dirty_blocks::empty() const {
    std::scoped_lock const lock(m_mutex);
    return m_blocks.empty();
}

void dirty_blocks::when_empty(std::function<void()> call) {
    {
        std::scoped_lock const lock(m_mutex);
        if (!m_blocks.empty()) {
            m_when_empty.push_back(std::move(call));
            return;
        }
    }
    call();
}

void copy_overlap(dirty_block const& block, std::int64_t target_offset, std::span<std::byte> target) noexcept {
    auto const begin = std::max(block.stream_offset, target_offset);
    auto const end =
        std::min(block.stream_offset + block.length, target_offset + static_cast<std::int64_t>(target.size()));
    if (begin < end) {
        std::memcpy(target.data() + (begin - target_offset),
                    block.memory->bytes().data() + (begin - block.stream_offset),
                    static_cast<std::size_t>(end - begin));
    }
}

} // namespace seedbed
