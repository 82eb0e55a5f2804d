#include "daemon/image/packed_plan.hpp"

#include <cerrno>
#include <cstdint>
#include <numeric>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>

#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/image_fit.hpp"
#include "core/device/open_path.hpp"
#include "core/device/partition_table.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/image/old_signatures.hpp"
#include "core/image/unused_parts.hpp"
#include "core/layout/boot_sectors.hpp"
#include "core/layout/disk_ids.hpp"
#include "core/layout/partition_tools.hpp"
#include "daemon/image/checkpoint.hpp"
#include "daemon/image/written_content.hpp"

namespace seedbed {

namespace {

using plan_cause = packed_plan_failure::cause;

tl::unexpected<packed_plan_failure> plan_failed(plan_cause what, std::string message) {
    return tl::make_unexpected(packed_plan_failure{what, std::move(message)});
}

void emit_line(std::function<void(std::string const&)> const& to, std::string const& line) {
    if (to) {
        to(line);
    }
}

} // namespace

result<packed_plan, packed_plan_failure> packed_plan::make(packed_image const& image, std::string const& path,
                                                           packed_plan_options const& options) {
    auto extents = image.index.extents();
    if (!extents) {
        return plan_failed(plan_cause::image, image.name + ": " + extents.error().message);
    }
    packed_plan plan(std::move(*extents), image.description.kind == image_kind::disk);
    if (image.description.layout) {
        if (auto planned = plan.plan_disk(image, path, options); !planned) {
            return tl::unexpected(std::move(planned.error()));
        }
    } else if (options.grow || options.new_ids) {
        return plan_failed(plan_cause::target, image.name + " is not the image of a disk with its layout: no " +
                                                   (options.grow ? "partition can grow" : "ids can be changed"));
    }
    if (options.discard) {
        auto const geometry = query_device_geometry(path);
        if (!geometry) {
            return plan_failed(plan_cause::target, geometry.error().message);
        }
        plan.m_unused = unused_parts(image.index.chunks(), plan.m_placement, geometry->size);
    }
    return plan;
}

result<void, packed_plan_failure> packed_plan::plan_disk(packed_image const& image, std::string const& path,
                                                         packed_plan_options const& options) {
    auto const& layout = *image.description.layout;
    auto const geometry = query_device_geometry(path);
    if (!geometry) {
        return plan_failed(plan_cause::target, geometry.error().message);
    }
    auto const sector = geometry->is_block_device ? geometry->logical_block_size : layout.sector_size;
    auto planned = plan_deployment(layout, geometry->size, sector, options.grow);
    if (!planned) {
        return plan_failed(plan_cause::target, path + ": " + planned.error().message);
    }
    auto placement = chunk_placement::make(image, planned->ranges);
    if (!placement) {
        return plan_failed(plan_cause::image, image.name + ": " + placement.error().message);
    }
    if (options.new_ids) {
        if (auto const changed = make_new_ids(planned->target); !changed) {
            return plan_failed(plan_cause::target, image.name + ": " + changed.error().message);
        }
        if (layout.table == table_type::gpt) {
            planned->notes.emplace_back("the partitions get new ids: a system that names its partitions by the old "
                                        "ones (PARTUUID=) will not find them");
        }
    }
    auto table = make_table(planned->target);
    if (!table) {
        return plan_failed(plan_cause::target, table.error().message);
    }
    if (auto const missing = missing_programs(*planned); !missing.empty()) {
        auto const& first = missing.front();
        return plan_failed(plan_cause::target, first.name + " (package " + first.package +
                                                   ") is not installed: needed to " + first.purpose);
    }
    m_placement = std::move(*placement);
    m_table = std::move(*table);
    m_disk = std::move(*planned);
    return {};
}

std::string packed_plan::placement_id() const {
    if (!m_disk) {
        return {};
    }
    std::string text;
    for (auto const& range : m_disk->ranges) {
        text += fmt::format("{} {} {}\n", range.start, range.size, range.shift);
    }
    return sha1_text(text);
}

std::vector<std::string> packed_plan::notes() const {
    return m_disk ? m_disk->notes : std::vector<std::string>{};
}

result<void, packed_plan_failure> packed_plan::wipe(block_device& device, bool outside,
                                                    packed_plan_events const& events) const {
    auto const sector = m_disk ? m_disk->target.sector_size : 1;
    if (m_disk && device.size() / sector * sector != m_disk->target.disk_size) {
        return plan_failed(plan_cause::target, device.path() + ": its size has changed; nothing was written");
    }
    auto const all = find_signatures(open_path(device));
    if (!all) {
        auto const why = "cannot look for signatures of earlier content: " + all.error().message;
        if (m_disk) {
            return plan_failed(plan_cause::device, why + "; nothing was written");
        }
        emit_line(events.warning, why + "; ignoring");
        return {};
    }
    // A disk's table is outside its image, and is replaced.
    auto const unwanted = m_disk ? *all : outside ? to_wipe(*all, m_extents) : std::vector<disk_signature>{};
    for (auto const& signature : unwanted) {
        if (signature.length == 0) {
            continue;
        }
        emit_line(events.step, "erasing the signature of earlier content: " + describe(signature));
        auto const wiped = wipe_signature(device, signature, m_disk ? nullptr : &m_extents);
        if (!wiped && m_disk) {
            return plan_failed(plan_cause::device, wiped.error().message());
        }
        if (!wiped) { // the image does not depend on it
            emit_line(events.warning, "cannot erase it, ignoring: " + wiped.error().message());
        }
    }
    return {};
}

void packed_plan::discard(block_device& device, packed_plan_events const& events) const {
    if (!m_unused) {
        return;
    }
    auto const bytes = std::accumulate(m_unused->begin(), m_unused->end(), std::int64_t{0},
                                       [](std::int64_t sum, extent const& each) { return sum + each.length; });
    emit_line(events.step, "discarding the " + format_byte_size(bytes) + " that the image does not use");
    for (auto const& each : *m_unused) {
        if (auto const done = discard_range(device, each.device_offset, each.length); !done) {
            emit_line(events.warning, "cannot discard what the image does not use, ignoring: " +
                                          errno_error(device.path(), done.error()).message);
            return;
        }
    }
}

result<void, packed_plan_failure> packed_plan::make_disk(block_device& device, packed_plan_events const& events) const {
    if (auto const corrected = correct_boot_sectors(device, *m_disk); !corrected) {
        return plan_failed(plan_cause::device, corrected.error().message());
    }
    // Another open file, not exclusive: the loop devices on it may outlive this call for a moment.
    unique_fd const disk(::open(open_path(device).c_str(), O_RDWR | O_CLOEXEC));
    if (!disk) {
        return plan_failed(plan_cause::device, errno_error(device.path(), errno).message);
    }
    if (auto const finished = finish_partitions(disk.get(), device.path(), *m_disk, events.step); !finished) {
        return plan_failed(plan_cause::program, finished.error().message);
    }
    if (auto const written = write_table(device, m_table); !written) {
        return plan_failed(plan_cause::device, written.error().message);
    }
    return {};
}

result<void, packed_plan_failure> packed_plan::finish(block_device& device, packed_plan_events const& events) const {
    if (m_disk) {
        if (auto made = make_disk(device, events); !made) {
            return made;
        }
    }
    auto const raw = device.raw();
    if (auto const why = m_is_disk && raw ? reread_partition_table(raw->cached) : std::nullopt) {
        emit_line(events.warning, "the kernel did not reread the partition table: " + *why);
    }
    return {};
}

} // namespace seedbed
