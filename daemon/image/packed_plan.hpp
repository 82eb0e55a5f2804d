#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/device/growth.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "core/layout/growth_plan.hpp"
#include "core/layout/table_writer.hpp"

namespace seedbed {

/// Why a packed image cannot be deployed to a device, or cannot be completed there.
struct packed_plan_failure {
    enum class cause : std::uint8_t {
        image,  ///< the .torrent contradicts itself
        target, ///< the device does not suit the image, or this machine lacks a program; nothing was written
        device, ///< it cannot be read, written or flushed
        program ///< one that makes a swap area or grows a file system has failed
    };
    cause what = cause::target;
    std::string message; ///< one line
};

struct packed_plan_options {
    growth grow; ///< the partition that gets the space that a larger disk has
    /// The disk and its partitions get new random ids. Refused if Windows' boot loader may need the old ones.
    bool new_ids = false;
    bool discard = false; ///< have the device discard what the image does not use
};

/// What a plan does, one line each. Called on the thread that called the plan; either may be empty.
struct packed_plan_events {
    std::function<void(std::string const&)> step;    ///< what it does next
    std::function<void(std::string const&)> warning; ///< what failed, and does not concern the image
};

/// How a packed image is deployed to one device: everything except its chunks.
///
/// Call make(), open the device, then call wipe() and discard(), write and verify the chunks at placement(), and call
/// finish(). A disk with a layout that loses power, or whose program is killed, anywhere between the end of wipe() and
/// the end of finish() shows no partition table; deployed again from make() on, it becomes whole. Other images are
/// complete with their chunks: write them through an ends_last_device.
///
/// Immutable after make(). Threads: any that may block; wipe() and finish() while nothing else writes to the device.
class packed_plan {
public:
    /// Plans, and checks everything that could fail after the first write: whether the disk holds the layout, whether
    /// its table can be made, whether the programs that finish() runs are installed. Writes nothing.
    ///
    /// \param path of the target. Throws std::system_error if the kernel has no random bytes for new ids.
    [[nodiscard]] static result<packed_plan, packed_plan_failure>
    make(packed_image const& image, std::string const& path, packed_plan_options const& options);

    /// The image's, on its source.
    [[nodiscard]] extent_map const& extents() const noexcept { return m_extents; }
    /// Where the chunks go.
    [[nodiscard]] chunk_placement const& placement() const noexcept { return m_placement; }
    /// Equal for plans that put each byte of the image in the same place; empty without a layout.
    [[nodiscard]] std::string placement_id() const;
    /// The layout that the disk gets; nullptr if the image has none.
    [[nodiscard]] disk_layout const* layout() const noexcept { return m_disk ? &m_disk->target : nullptr; }
    /// Effects that the user should know of before the first write, one line each.
    [[nodiscard]] std::vector<std::string> notes() const;

    /// Erases the signatures by which a system would take the device for something else, or for complete, while it is
    /// being written. On return this is durable.
    ///
    /// On a disk with a layout, all of them: a failed search is an error, because the old table would make half an
    /// image look like a whole disk. On any other device, only if \p outside is set, those around the image, where a
    /// failure is only a warning.
    [[nodiscard]] result<void, packed_plan_failure> wipe(block_device& device, bool outside,
                                                         packed_plan_events const& events) const;

    /// If the options say so, has the device discard the bytes that the image does not use, as unused_parts() lists
    /// them. After wipe(), and before the first chunk. A failure is only a warning.
    void discard(block_device& device, packed_plan_events const& events) const;

    /// Makes a whole disk of its partitions, after all chunks are durable and verified: corrects the boot sectors of
    /// moved file systems, makes swap areas, grows a file system, writes the partition table as the last act, and has
    /// the kernel reread it. On a device without a layout, only the last of these. Needs root for swap areas and
    /// growth.
    ///
    /// Once it has begun, chunks in moved and grown partitions differ from the image. If it was interrupted, no
    /// checkpoint of these is valid any more: compare all chunks with the device, and write those that differ. The
    /// program that was interrupted then finds the file system as it was in the image.
    [[nodiscard]] result<void, packed_plan_failure> finish(block_device& device,
                                                           packed_plan_events const& events) const;

private:
    packed_plan(extent_map extents, bool is_disk)
        : m_extents(std::move(extents))
        , m_is_disk(is_disk) {}

    [[nodiscard]] result<void, packed_plan_failure> plan_disk(packed_image const& image, std::string const& path,
                                                              packed_plan_options const& options);
    [[nodiscard]] result<void, packed_plan_failure> make_disk(block_device& device,
                                                              packed_plan_events const& events) const;

    std::optional<deployment_plan> m_disk; ///< of a disk with a layout
    table_bytes m_table;                   ///< if so
    chunk_placement m_placement;
    extent_map m_extents;                        ///< of the image, on its source
    std::optional<std::vector<extent>> m_unused; ///< parts of the target, if they are to be discarded
    bool m_is_disk;                              ///< with or without a layout
};

} // namespace seedbed
