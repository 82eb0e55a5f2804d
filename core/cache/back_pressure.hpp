#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace seedbed {

/// Decides when a sender must pause and when it may continue, by two watermarks over the bytes waiting to be written.
///
/// Above the high watermark senders must pause, and their observers are kept. Once the bytes have fallen to the low
/// watermark, all kept observers are returned to be called, each once however often its sender was paused. The gap
/// between the two watermarks keeps senders from stuttering.
///
/// Threads: confined to one, the network thread.
template <class Observer>
class back_pressure {
public:
    explicit back_pressure(std::int64_t high_watermark) { set_high_watermark(high_watermark); }

    /// In bytes; the low watermark is 7/8 of it.
    void set_high_watermark(std::int64_t bytes) {
        m_high = std::max<std::int64_t>(bytes, 1);
        m_low = m_high - m_high / 8;
    }
    [[nodiscard]] std::int64_t high_watermark() const noexcept { return m_high; }
    [[nodiscard]] std::int64_t low_watermark() const noexcept { return m_low; }

    /// Adds waiting bytes. \return true if the sender must pause; \p observer is then kept (null is allowed).
    /// \param full the sender must pause even if few bytes wait; its observer is called when some of them are done.
    [[nodiscard]] bool add(std::int64_t bytes, std::shared_ptr<Observer> const& observer, bool full = false) {
        m_bytes += bytes;
        if (m_bytes <= m_high && !full) {
            return false;
        }
        if (observer && !keeps(observer)) {
            m_observers.push_back(observer);
        }
        return true;
    }

    /// Removes finished bytes. \return the observers to call now; empty above the low watermark.
    [[nodiscard]] std::vector<std::weak_ptr<Observer>> remove(std::int64_t bytes) {
        m_bytes -= bytes;
        if (m_bytes > m_low || m_observers.empty()) {
            return {};
        }
        return std::exchange(m_observers, {});
    }

    [[nodiscard]] std::int64_t bytes() const noexcept { return m_bytes; }

private:
    [[nodiscard]] bool keeps(std::shared_ptr<Observer> const& observer) const noexcept {
        return std::ranges::any_of(m_observers, [&observer](std::weak_ptr<Observer> const& kept) {
            return !kept.owner_before(observer) && !observer.owner_before(kept);
        });
    }

    std::int64_t m_high = 0;
    std::int64_t m_low = 0;
    std::int64_t m_bytes = 0;
    std::vector<std::weak_ptr<Observer>> m_observers;
};

} // namespace seedbed
