#pragma once

#include <utility>

namespace seedbed {

/// First in, first out; linked through the member `next` of what is in it, so that nothing is allocated.
///
/// Threads: confined by the caller.
template <class T>
class linked_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return m_first == nullptr; }
    void push(T& added) noexcept {
        added.next = nullptr;
        (empty() ? m_first : m_last->next) = &added;
        m_last = &added;
    }
    [[nodiscard]] T& front() const noexcept { return *m_first; }                       ///< not while it is empty
    [[nodiscard]] T& pop() noexcept { return *std::exchange(m_first, m_first->next); } ///< likewise

private:
    T* m_first = nullptr;
    T* m_last = nullptr;
};

} // namespace seedbed
