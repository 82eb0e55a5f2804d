#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// The bytes at both ends of an image's device by which a system recognises what is on it.
struct device_ends {
    /// Bytes from the start of the device: partition tables, boot loaders, superblocks.
    std::int64_t first = std::int64_t{1} << 20;
    /// Bytes before the end of the image: more than the 33 sectors of a GPT's backup, even if they have 4096 bytes
    /// each, the superblocks of md and DRBD, and the last two labels of ZFS.
    std::int64_t last = std::int64_t{768} << 10;
};

/// A device on which the ends of an image are written last, so that a deployment that is interrupted at any moment
/// leaves the device with either the whole image or nothing that a system recognises.
///
///     through -> held back -> erased -> through        hold_back(), the first write, write_ends()
///
/// While the ends are held back, they are in memory, and reads and writes of them copy there. The first write, wherever
/// it goes, makes the device unrecognisable before it does anything else: it erases each signature in the ends, the one
/// at the lowest position before the others, and then all bytes of the ends, durably. If nothing is written, the device
/// stays as it is. While the ends are not held back, everything passes through. Only bytes of the image are changed.
///
/// Threads: as block_device; the first write blocks the others. hold_back() and write_ends() block, and no transfer
/// that touches the ends may be under way when they are called, except reads during write_ends().
class ends_last_device final : public block_device {
public:
    /// \param image the extents of the image on \p device, which contains them.
    ends_last_device(std::unique_ptr<block_device> device, extent_map const& image, device_ends const& ends);
    ~ends_last_device() override;

    /// Takes the ends into memory. Does nothing if they are held back. \return the parts that cannot be read; they read
    /// as zeros from now on.
    [[nodiscard]] std::vector<extent> hold_back();
    /// Flushes, writes the ends, and flushes again. Sectors by which libblkid recognises the content are written after
    /// all others, and the one of them at the lowest position last. After an error, the ends are still held back. Only
    /// flushes if they are not held back, or if nothing was written since hold_back().
    [[nodiscard]] result<void, io_error> write_ends();
    [[nodiscard]] bool holds_back() const noexcept { return m_holds.load(std::memory_order_acquire); }
    /// Whether bytes of a range of the device are in the ends, held back or not.
    [[nodiscard]] bool touches(std::int64_t offset, std::int64_t length) const noexcept;

    [[nodiscard]] std::string const& path() const noexcept override { return m_device->path(); }
    [[nodiscard]] std::int64_t size() const noexcept override { return m_device->size(); }
    [[nodiscard]] bool read_only() const noexcept override { return m_device->read_only(); }
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) override;
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) override;
    [[nodiscard]] result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) override;
    [[nodiscard]] std::optional<raw_device> raw() const noexcept override { return m_device->raw(); }
    [[nodiscard]] device_range part_in_memory(std::int64_t offset, std::int64_t length) const noexcept override;
    [[nodiscard]] result<void, io_error> will_write(std::int64_t offset, std::int64_t length) override;
    [[nodiscard]] bool wrote_through_cache(std::int64_t bytes) noexcept override {
        return m_device->wrote_through_cache(bytes);
    }
    [[nodiscard]] result<void, io_error> wrote_back(std::int64_t bytes, int code) noexcept override {
        return m_device->wrote_back(bytes, code);
    }
    /// Has no effect on bytes that are held back.
    [[nodiscard]] result<void, io_error> flush() override { return m_device->flush(); }
    void forget_failed_flush() override { m_device->forget_failed_flush(); }
    /// Reads the medium, even where bytes are held back.
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) override {
        return m_device->read_medium(offset, buffer);
    }

private:
    /// A part of the ends that belongs to the image.
    struct end_part {
        std::int64_t offset = 0; ///< of the device
        std::int64_t length = 0;
        std::size_t begin = 0; ///< of its bytes in m_memory

        [[nodiscard]] std::int64_t end() const noexcept { return offset + length; }
    };

    template <class Through, class Copy>
    result<void, io_error> split(std::int64_t offset, std::span<iovec const> memory, Through const& through,
                                 Copy const& copy);
    [[nodiscard]] device_range next_part(std::int64_t offset, std::int64_t length) const noexcept;
    /// The bytes in memory of a range that part_in_memory() returned; empty if they are no longer held back.
    [[nodiscard]] std::span<std::byte> bytes_locked(device_range const& range) noexcept;
    [[nodiscard]] std::vector<extent> read_ends(std::span<std::byte> memory);
    /// Erases the ends if they are held back and have not been erased.
    [[nodiscard]] result<void, io_error> before_write();
    [[nodiscard]] result<void, io_error> erase_ends();
    [[nodiscard]] result<void, io_error> erase(std::vector<device_range> const& ranges);
    /// The sectors of the ends, clipped to the image, in the order in which they are written: those without signatures,
    /// those with signatures, and, of the latter, the one at the lowest position.
    using sector_groups = std::array<std::vector<device_range>, 3>;
    [[nodiscard]] sector_groups sectors_in_order() const;

    std::unique_ptr<block_device> const m_device;
    std::vector<end_part> m_parts; ///< in order; constant
    std::size_t m_bytes = 0;       ///< of all parts; constant
    std::atomic<bool> m_holds{false};
    std::atomic<bool> m_erased{false};
    std::mutex m_erasing;            ///< held while the ends are erased
    std::mutex m_mutex;              ///< guards the bytes of m_memory
    std::vector<std::byte> m_memory; ///< of m_bytes while the ends are held back, otherwise empty
};

} // namespace seedbed
