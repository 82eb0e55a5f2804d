#include "core/backend/write_epochs.hpp"

#include <utility>

#include "core/backend/io_waiter.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

std::uint64_t write_epochs::begin() {
    std::scoped_lock const lock(m_mutex);
    ++m_epochs.back().unwritten;
    m_unwritten.fetch_add(1);
    return m_first + m_epochs.size() - 1;
}

write_epochs::tally::tally(write_epochs& owner, waiter_list waiters)
    : m_owner(owner) {
    for (auto const* waiter = waiters.first; waiter != nullptr; waiter = waiter->next) {
        auto const epoch = static_cast<io_waiter const*>(waiter)->epoch;
        if (m_used == 0 || m_counts[m_used - 1].epoch != epoch) {
            if (m_used == m_counts.size()) {
                report();
            }
            m_counts[m_used++] = {epoch, 0};
        }
        ++m_counts[m_used - 1].writes;
    }
}

write_epochs::tally::~tally() {
    if (m_used > 0) {
        report();
    }
}

void write_epochs::tally::report() noexcept {
    auto& owner = m_owner;
    std::unique_lock lock(owner.m_mutex);
    for (std::size_t i = 0; i < m_used; ++i) {
        owner.m_epochs[m_counts[i].epoch - owner.m_first].unwritten -= m_counts[i].writes;
        owner.m_unwritten.fetch_sub(m_counts[i].writes);
    }
    m_used = 0;
    while (owner.m_epochs.size() > 1 && owner.m_epochs.front().unwritten == 0) {
        auto const calls = std::move(owner.m_epochs.front().calls);
        owner.m_epochs.pop_front();
        ++owner.m_first;
        lock.unlock();
        for (auto const& call : calls) {
            retry_on_bad_alloc(call);
        }
        lock.lock();
    }
}

bool write_epochs::when_ended(std::function<void()>& call) {
    std::scoped_lock const lock(m_mutex);
    if (!any()) {
        return false;
    }
    m_epochs.emplace_back(); // first, as an epoch without calls does no harm
    m_epochs[m_epochs.size() - 2].calls.push_back(std::move(call));
    return true;
}

} // namespace seedbed
