#pragma once

#include <memory>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/image/ends_last_device.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "daemon/image/packed_plan.hpp"

namespace seedbed {

/// The restoration of a packed image to a device, in an order in which it can be interrupted at any moment, by a power
/// cut or by SIGKILL: a system then recognises nothing on the device, or its old content, of which no byte of the image
/// has been overwritten, or the whole image. The table of a disk with a layout comes last; of other images, the ends.
///
/// Call prepare(), write(), verify() if wanted, and finish(), each only if the one before has succeeded.
///
/// Threads: any that may block, one at a time.
class packed_restoration {
public:
    /// \param image and \param plan must outlive this object. \param device large enough for the plan.
    packed_restoration(packed_image const& image, packed_plan const& plan, std::unique_ptr<block_device> device,
                       device_ends const& ends = {});

    /// packed_plan::wipe(), takes the ends into memory, and packed_plan::discard().
    [[nodiscard]] result<void, packed_plan_failure> prepare(bool outside, packed_plan_events const& events);
    /// write_packed(), and writes the ends. \return false if it was cancelled.
    [[nodiscard]] result<bool, restore_failure> write(opened_packed_file const& file, restore_options const& options);
    /// compare_packed().
    [[nodiscard]] packed_comparison verify(restore_options const& options);
    /// packed_plan::finish().
    [[nodiscard]] result<void, packed_plan_failure> finish(packed_plan_events const& events);

    [[nodiscard]] block_device& device() noexcept { return *m_device; }

private:
    packed_image const& m_image;
    packed_plan const& m_plan;
    std::unique_ptr<block_device> m_device;
    ends_last_device* m_ends = nullptr; ///< the same device, unless the image is of a disk with a layout
};

} // namespace seedbed
