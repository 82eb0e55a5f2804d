#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sys/uio.h>

#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// A transfer between memory and a device: one or more ranges of the device, each with its source or destination in
/// memory.
///
/// A queue takes a job with submit(), calls prepare() just before running it, and end() when everything has been
/// transferred or something has failed. The job belongs to the queue between submit() and end(), which may destroy it.
class io_job {
public:
    enum class direction : std::uint8_t { read, write };

    /// Consecutive bytes of the device.
    struct segment {
        std::int64_t offset = 0; ///< bytes from the start of the device
        std::int64_t length = 0; ///< bytes
        std::uint32_t first = 0; ///< index of its first memory range in parts()
        std::uint32_t count = 0;
    };

    explicit io_job(direction way) noexcept
        : m_way(way) {}
    io_job(io_job const&) = delete;
    io_job& operator=(io_job const&) = delete;
    virtual ~io_job() = default;

    [[nodiscard]] direction way() const noexcept { return m_way; }
    /// The position on the device where the job begins, for ordering; known before prepare().
    [[nodiscard]] device_offset position() const noexcept { return m_position; }
    [[nodiscard]] std::vector<segment> const& segments() const noexcept { return m_segments; }
    [[nodiscard]] std::span<iovec const> memory_of(segment const& which) const noexcept {
        return std::span(m_parts).subspan(which.first, which.count);
    }

    /// Specifies the transfer with add(); called on a thread of the queue. May add nothing. May throw std::bad_alloc:
    /// the job then ends with ENOMEM.
    virtual void prepare() {}
    /// Reports that everything has been transferred, or the first failure. Called once, on a thread of the queue. Must
    /// not throw.
    virtual void end(result<void, io_error> const& outcome) = 0;

protected:
    void set_position(device_offset position) noexcept { m_position = position; }
    /// Appends bytes; merges them with the last ones if both the device's bytes and the memory are contiguous.
    void add(std::int64_t offset, std::byte* memory, std::size_t length);
    /// Removes everything that was added; keeps the allocated memory for the next use.
    void clear() noexcept {
        m_segments.clear();
        m_parts.clear();
    }

private:
    friend class io_order;

    direction const m_way;
    io_job* m_behind = nullptr; ///< the next job in the order of arrival
    device_offset m_position;
    std::vector<segment> m_segments;
    std::vector<iovec> m_parts;
};

} // namespace seedbed
