#pragma once

#include <utility>

namespace seedbed {

/// A first-in, first-out queue, linked through the `next` member of its elements, so that it allocates nothing.
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
    [[nodiscard]] T& front() const noexcept { return *m_first; }                       ///< must not be empty
    [[nodiscard]] T& pop() noexcept { return *std::exchange(m_first, m_first->next); } ///< must not be empty

private:
    T* m_first = nullptr;
    T* m_last = nullptr;
};

} // namespace seedbed
