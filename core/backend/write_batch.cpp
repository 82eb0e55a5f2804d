#include "core/backend/write_batch.hpp"

#include <algorithm>
#include <utility>

#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

void write_batch::make_room(std::int32_t blocks) {
    auto const count = static_cast<std::size_t>(blocks);
    items.reserve(count);
    groups.reserve(count);
    dirty_again.reserve(count);
}

void write_batch::clear() noexcept {
    items.clear();
    groups.clear();
    dirty_again.clear();
}

void write_batches::reserve(std::size_t count, std::int32_t blocks) {
    std::scoped_lock const lock(m_mutex);
    m_free.reserve(std::max(count, m_made));
    for (auto const& each : m_free) {
        each->make_room(blocks);
    }
    while (m_made < count) {
        m_free.push_back(std::make_unique<write_batch>(blocks));
        ++m_made;
    }
}

std::unique_ptr<write_batch> write_batches::take(std::int32_t blocks) noexcept {
    std::unique_ptr<write_batch> taken;
    retry_on_bad_alloc([&] {
        std::scoped_lock const lock(m_mutex);
        if (m_free.empty()) {
            m_free.reserve(m_made + 1);
            m_free.push_back(std::make_unique<write_batch>(blocks));
            ++m_made;
        }
        m_free.back()->make_room(blocks); // no effect unless the profile has changed meanwhile
        taken = std::move(m_free.back());
        m_free.pop_back();
    });
    return taken;
}

void write_batches::give_back(std::unique_ptr<write_batch> batch) noexcept {
    batch->clear();
    std::scoped_lock const lock(m_mutex);
    m_free.push_back(std::move(batch));
}

} // namespace seedbed
