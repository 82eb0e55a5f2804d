#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"

namespace seedbed::test {

/// A disk in memory that outlives power cuts and the programs that use it.
///
/// A write is visible to reads at once, as by a page cache, and durable once a flush that began after it has ended.
/// After a number of steps, chosen by the test, the program ends: by a power cut, which loses, reorders or tears the
/// writes that no flush has covered, or by SIGKILL, which loses only the writes in flight. From then on all calls fail
/// with EIO, so that the program under test can be taken down, and change nothing.
///
/// A write and a flush take two steps each: one when they begin, one when they end. A read of the medium takes one.
///
/// Threads: every member may be called from any thread; power_on() only while no device is open.
class power_cut_disk {
public:
    /// What remains, on the medium, of the writes that no flush has covered.
    enum class loss : std::uint8_t {
        everything,   ///< nothing remains
        whole_writes, ///< each write remains or is lost
        sectors,      ///< each sector of each write remains or is lost
        torn_last,    ///< all remain; of the last one, only the first sectors
        nothing,      ///< all remain
        by_kill       ///< no power cut: all that have ended stay in the page cache, not durable
    };
    static constexpr loss last_loss = loss::by_kill;

    power_cut_disk(std::vector<std::byte> content, std::uint32_t seed);

    /// Begins a life. \param steps after which the program ends; 0: never. \param on_end called then, once, within the
    /// call that takes the last step, before that call returns.
    void power_on(int steps, loss how, std::function<void()> on_end);
    /// The disk as a device. Must not outlive the disk.
    [[nodiscard]] std::unique_ptr<block_device> open(std::string path);
    /// Ends the life after this number of steps from now, 1 or more, unless it has ended.
    void end_after(int steps);
    /// The same, but counts from the next write, whose beginning is the first step.
    void end_after_write(int steps);
    /// Ends the life now, unless it has ended.
    void end_now(loss how);
    [[nodiscard]] bool ended() const;
    /// Steps to the end of this life; those taken so far can be told from it.
    [[nodiscard]] int steps_left() const;

    /// The bytes that a program sees, without a step.
    [[nodiscard]] std::vector<std::byte> contents() const;
    /// The durable bytes, without a step.
    [[nodiscard]] std::vector<std::byte> medium() const;
    /// Writes that were lost or torn so far, by power cuts.
    [[nodiscard]] int damaged_writes() const;

private:
    class device;
    struct entry {
        std::uint64_t number = 0;
        std::int64_t offset = 0;
        std::vector<std::byte> bytes;
        bool ended = false;
    };

    /// \return false if the life has ended, perhaps with this step.
    [[nodiscard]] bool step_locked();
    void end_locked();
    /// Applies what remains of a write to the medium.
    void keep_locked(entry const& write, bool last);
    /// \return 0 or EIO.
    [[nodiscard]] int read(std::vector<std::byte> const& source, std::int64_t offset, std::span<std::byte> buffer,
                           bool counts);
    [[nodiscard]] int write(std::int64_t offset, std::vector<std::byte> bytes);
    [[nodiscard]] int flush();

    mutable std::mutex m_mutex; ///< guards everything below
    std::vector<std::byte> m_contents;
    std::vector<std::byte> m_medium;
    std::list<entry> m_unflushed; ///< in the order in which they began
    std::uint64_t m_last = 0;     ///< number of the last write
    std::mt19937 m_random;
    int m_steps_left = 0;
    int m_steps_from_write = 0; ///< becomes m_steps_left at the next write; 0: does not
    loss m_loss = loss::everything;
    std::function<void()> m_on_end;
    bool m_ended = false;
    int m_damaged = 0;
};

} // namespace seedbed::test
