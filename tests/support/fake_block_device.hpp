#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed::test {

/// A device in memory that records every access, fails or waits on demand, and discards unflushed data in a crash.
///
/// It holds two copies of its bytes: the one that read() sees (the page cache of a real device) and the medium. flush()
/// copies written data to the medium, read_medium() sees only the medium, and crash() discards everything else. So it
/// exposes code that verifies or reports before flushing.
///
/// Threads: every member may be called from any thread. A device outlives its held_operations.
class fake_block_device final : public block_device {
public:
    enum class operation : std::uint8_t { read, write, flush, read_medium };

    /// One call, recorded when it began.
    struct access {
        operation op = operation::read;
        std::int64_t offset = 0; ///< bytes; 0 for a flush
        std::int64_t length = 0; ///< bytes; 0 for a flush

        friend bool operator==(access const&, access const&) = default;
    };

    /// While it exists, calls of one operation wait in the device before they do anything. Its destructor releases
    /// them, so that a failing test leaves no thread behind: declare it after the object that joins the threads.
    class held_operations {
    public:
        held_operations(held_operations&& other) noexcept
            : m_device(std::exchange(other.m_device, nullptr))
            , m_op(other.m_op) {}
        held_operations& operator=(held_operations&&) = delete;
        ~held_operations() { release(); }

        /// Returns when at least \p count calls wait here; throws if they do not come within a minute.
        void wait_until_waiting(int count = 1) const;
        /// Lets the waiting calls and all later ones continue.
        void release();

    private:
        friend class fake_block_device;
        held_operations(fake_block_device& device, operation op)
            : m_device(&device)
            , m_op(op) {}

        fake_block_device* m_device;
        operation m_op;
    };

    /// \param size in bytes; the device starts with durable zeros.
    explicit fake_block_device(std::int64_t size, std::string path = "fake", bool read_only = false);
    /// A device that starts with \p contents, durable.
    explicit fake_block_device(std::vector<std::byte> contents, std::string path = "fake", bool read_only = false);
    fake_block_device(fake_block_device const&) = delete;
    fake_block_device& operator=(fake_block_device const&) = delete;
    ~fake_block_device() override;

    /// From now on raw() has a descriptor of the bytes that read() sees, for an engine that makes its own system calls.
    /// Those meet no holds and are not recorded; for ranges with a fault, the engine has to call read() and write().
    /// Before the device is in use; not on a device with data.
    void give_descriptor();
    [[nodiscard]] std::optional<raw_device> raw() const noexcept override;
    [[nodiscard]] device_range part_in_memory(std::int64_t offset, std::int64_t length) const noexcept override;
    [[nodiscard]] result<void, io_error> will_write(std::int64_t offset, std::int64_t length) override;

    [[nodiscard]] std::string const& path() const noexcept override { return m_path; }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_size; }
    [[nodiscard]] bool read_only() const noexcept override { return m_read_only; }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override;
    /// Writes past the end fail with ENOSPC, on a read-only device with EROFS; a failed write changes nothing.
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override;
    /// One access, for any number of pieces.
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override;
    /// A failed flush makes nothing durable, and, as with a real device, every later flush fails, too.
    [[nodiscard]] result<void, io_error> flush() override;
    void forget_failed_flush() override;
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override;

    /// From now on calls of \p op that touch [\p offset, \p offset + \p length) fail with \p code.
    /// \param times how many calls fail before the fault ends. Offset and length are ignored for a flush.
    void fail(operation op, int code, std::int64_t offset = 0, std::int64_t length = everything, int times = forever);
    /// The same for writes, which store the first half of their bytes before they fail.
    void fail_half_way(int code, std::int64_t offset = 0, std::int64_t length = everything, int times = forever);
    /// Cancels every fail(). A failed flush stays failed.
    void clear_faults();

    /// Makes calls of \p op wait until the result is released or destroyed. At most one hold per operation at a
    /// time.
    [[nodiscard]] held_operations hold(operation op);

    /// A power cut: discards all writes since the last successful flush.
    void crash();

    /// Sets bytes, in memory and on the medium, without a record or a fault.
    void set_contents(std::int64_t offset, std::span<std::byte const> bytes);
    /// Sets bytes on the medium only: a disk that lies.
    void set_medium(std::int64_t offset, std::span<std::byte const> bytes);
    /// The bytes that read() would see, without a record.
    [[nodiscard]] std::vector<std::byte> contents(std::int64_t offset, std::int64_t length) const;
    /// The bytes that a crash would leave, without a record.
    [[nodiscard]] std::vector<std::byte> medium(std::int64_t offset, std::int64_t length) const;

    /// Every call since the start or the last clear_accesses(), in the order in which they began.
    [[nodiscard]] std::vector<access> accesses() const;
    /// Those of one operation.
    [[nodiscard]] std::vector<access> accesses(operation op) const;
    void clear_accesses();

    /// Bytes in runs that were written since the last successful flush.
    [[nodiscard]] std::int64_t unflushed_bytes() const;
    /// How many calls began while another call to an overlapping range was running, with at least one of them a write:
    /// their order would be undefined on a real device.
    [[nodiscard]] int overlaps() const;

    static constexpr std::int64_t everything = std::numeric_limits<std::int64_t>::max();
    static constexpr int forever = -1;

private:
    struct fault {
        operation op;
        int code;
        std::int64_t offset;
        std::int64_t length;
        int times;
        bool half_way;
    };
    struct gate {
        bool closed = false;
        int waiting = 0;  ///< calls that the current hold keeps
        int releases = 0; ///< holds that have ended: a call waits for the end of its own hold, not of the next
    };
    class running_call;

    gate& gate_of(operation op) { return m_gates.at(static_cast<std::size_t>(op)); }
    /// A matching fault, which counts as used.
    std::optional<fault> take_fault_locked(access const& what);
    result<void, io_error> read_from(std::span<std::byte const> source, access const& what,
                                     std::span<std::byte> buffer);
    void mark_unflushed_locked(std::int64_t offset, std::int64_t length);
    tl::unexpected<io_error> failure(access const& what, int code) const;

    std::string const m_path;
    std::int64_t const m_size;
    bool const m_read_only;

    mutable std::mutex m_mutex; ///< guards everything below
    std::condition_variable m_changed;
    std::vector<std::byte> m_memory;
    unique_fd m_descriptor;          ///< if it is open, its mapping is used in place of m_memory
    std::span<std::byte> m_contents; ///< of m_memory, or of the mapping
    std::vector<std::byte> m_medium;
    std::map<std::int64_t, std::int64_t> m_unflushed; ///< begin -> end, disjoint
    std::vector<fault> m_faults;
    std::array<gate, 4> m_gates;
    std::vector<access> m_accesses;
    std::list<access> m_running;
    int m_overlaps = 0;
    int m_flush_failed = 0;
};

} // namespace seedbed::test
