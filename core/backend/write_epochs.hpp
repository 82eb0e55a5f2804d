#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

#include "core/cache/block_waiter.hpp"

namespace seedbed {

/// Counts the writes of an image that have not ended, in epochs, so that a call can wait for all earlier writes but no
/// later ones, however many there are.
///
/// Threads: every member may be called from any thread.
class write_epochs {
public:
    /// A write has been taken. \return its epoch.
    [[nodiscard]] std::uint64_t begin();

    /// Writes per epoch, collected from waiters before they are delivered and gone.
    class tally {
    public:
        /// \param waiters of writes that have ended: io_waiters. Those for which there is no room are reported to \p
        /// owner at once.
        tally(write_epochs& owner, waiter_list waiters);
        tally(tally const&) = delete;
        tally& operator=(tally const&) = delete;
        /// Reports the rest.
        ~tally();

    private:
        friend class write_epochs;
        struct count {
            std::uint64_t epoch;
            std::int64_t writes;
        };
        static constexpr std::size_t most = 16; ///< further epochs are reported a moment early

        void report() noexcept;

        write_epochs& m_owner;
        std::array<count, most> m_counts{};
        std::size_t m_used = 0;
    };

    /// Calls \p call once when every write taken so far has ended, on the thread on which the last one ends. If it
    /// throws std::bad_alloc there, it must have had no effect, and is called again. \return false if there is no such
    /// write; \p call is then not kept. Throws std::bad_alloc before anything has changed.
    [[nodiscard]] bool when_ended(std::function<void()>& call);
    [[nodiscard]] bool any() const noexcept { return m_unwritten.load() > 0; }

private:
    struct epoch {
        std::int64_t unwritten = 0;
        std::vector<std::function<void()>> calls; ///< called when this epoch and all before it have ended
    };

    std::atomic<std::int64_t> m_unwritten{0};
    std::mutex m_mutex;            ///< guards the members below
    std::deque<epoch> m_epochs{1}; ///< the last one is open, and has no calls
    std::uint64_t m_first = 0;     ///< number of the first epoch
};

} // namespace seedbed
