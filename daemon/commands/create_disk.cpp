#include "daemon/commands/create_disk.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "core/device/disk_content.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/find_program.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/partclone_run.hpp"
#include "core/image/source_checks.hpp"
#include "core/layout/loop_view.hpp"
#include "core/layout/table_reader.hpp"

namespace seedbed {

namespace {

/// The parts of one partition to take, in bytes from its start, and the reason in words. Nothing if it was cancelled.
struct partition_parts {
    std::vector<packed_range> ranges;
    std::string reason;
    bool used_only = false;
};
using parts_result = result<std::optional<partition_parts>, create_failure>;

partition_parts all_of(partition_entry const& partition, std::string reason) {
    return {{{0, partition.size}}, std::move(reason)};
}

std::string head_of_partition(block_device& disk, partition_entry const& partition) {
    std::string head(static_cast<std::size_t>(std::min<std::int64_t>(partition.size, source_head)), '\0');
    if (!disk.read(partition.start, std::as_writable_bytes(std::span(head.data(), head.size())))) {
        head.clear(); // reading all of it will fail
    }
    return head;
}

/// All bytes, if the user allowed that, because the used blocks cannot be known.
parts_result all_instead(create_context const& context, partition_entry const& partition, std::string const& name,
                         std::string const& reason) {
    auto const allowed = take_all_because(context, name, reason);
    return allowed ? parts_result(all_of(partition, "all bytes, because " + reason)) : tl::unexpected(allowed.error());
}

/// The used blocks of a file system, as partclone sees them. \param partclone the name of its program for it.
parts_result used_parts(create_context const& context, create_source const& source, partition_entry const& partition,
                        std::string const& partclone, std::string const& head) {
    auto const raw = source.device->raw();
    if (!raw) {
        return create_failed(exit_failed, source.device->path() + ": is not a file");
    }
    auto const view = loop_view::make(raw->cached, partition.start, partition.size, source.sector_size);
    if (!view) {
        return create_failed(exit_failed, view.error().message);
    }
    auto const& type = partition.content.type;
    auto const name = source.device->path() + ": " + describe(partition);
    if (type == "ntfs") {
        if (auto const checked = check_hibernation(context, name, view->path()); !checked) {
            return tl::unexpected(checked.error());
        }
    }
    if (auto const why = why_not_unmounted(context, name, type, head, view->path())) {
        return all_instead(context, partition, name, *why);
    }
    auto const program = find_program(partclone);
    if (program.empty()) {
        return all_instead(context, partition, name, partclone + " is not installed");
    }
    partclone_run run;
    run.program = program;
    run.source = view->path();
    run.size = partition.size;
    run.warning = [&](std::string const& line) { warn(context, name, program + ": " + line); };
    run.cancelled = &context.cancelled;
    auto used = find_used_blocks(run);
    if (!used) {
        auto message = used.error().message;
        if (auto const at = message.find(run.source); at != std::string::npos) { // a loop device of this program's
            message.replace(at, run.source.size(), "it");
        }
        auto const allowed = take_all_instead(context, name + ": " + message);
        return allowed ? parts_result(all_of(partition, "all bytes, because partclone cannot capture it"))
                       : tl::unexpected(allowed.error());
    }
    if (!*used) {
        return std::nullopt;
    }
    auto const copies = metadata_copies(partition.content.type, head, partition.size);
    (*used)->insert((*used)->end(), copies.begin(), copies.end());
    return partition_parts{ranges_of(std::move(**used), source.sector_size, partition.size), "used blocks", true};
}

parts_result parts_of(create_context const& context, create_source const& source, partition_entry const& partition) {
    auto const& type = partition.content.type;
    if (type == "swap") {
        return partition_parts{{}, "none; the target gets a new swap area with its UUID and label"};
    }
    if (type.empty()) {
        auto const found = probe_content(context.options.source, {partition.start, partition.size});
        return all_of(partition, found && found->ambiguous
                                     ? "all bytes, because it has several signatures (" +
                                           signature_types(found->signatures) + "), of which only one can be valid"
                                     : "all bytes, because nothing is recognised in it");
    }
    auto const program = partclone_program(type);
    if (!program) {
        return all_of(partition, "all bytes, because partclone does not support " + type);
    }
    auto const head = head_of_partition(*source.device, partition);
    if (auto const missing = missing_part(type, head)) {
        return all_instead(context, partition, source.device->path() + ": " + describe(partition), *missing);
    }
    return used_parts(context, source, partition, *program, head);
}

void print_parts(create_context const& context, partition_entry const& partition, partition_parts const& parts) {
    auto const bytes = total_length(parts.ranges);
    auto const amount = parts.ranges.empty() ? format_byte_size(partition.size)
                                             : format_byte_size(bytes) + " of " + format_byte_size(partition.size);
    context.progress.print(printable(describe(partition)) + ": " + amount + ": " + printable(parts.reason));
}

} // namespace

result<std::optional<disk_content_plan>, create_failure> plan_disk(create_context const& context,
                                                                   create_source const& source) {
    auto layout = read_disk_layout(context.options.source);
    if (!layout) {
        return create_failed(exit_refused,
                             layout.error().message + "; pass --raw to pack all bytes of the disk, with its table");
    }
    disk_content_plan plan{std::move(*layout), {}};
    if (plan.layout.gap_size > 0) {
        plan.ranges.push_back({plan.layout.gap_start, plan.layout.gap_size});
    }
    context.progress.begin("finding used blocks");
    for (auto& partition : plan.layout.partitions) {
        if (partition.role == partition_role::extended) {
            continue;
        }
        context.progress.update(0, 0);
        auto const parts = parts_of(context, source, partition);
        if (!parts) {
            return tl::unexpected(parts.error());
        }
        if (!*parts) {
            return std::nullopt;
        }
        print_parts(context, partition, **parts);
        if ((*parts)->used_only) {
            partition.content.used = std::min(total_length((*parts)->ranges), partition.content.minimal_size);
        }
        for (auto const& range : (*parts)->ranges) {
            plan.ranges.push_back({partition.start + range.offset, range.length, range.zeros});
        }
    }
    context.progress.finish();
    std::ranges::sort(plan.ranges, {}, &packed_range::offset);
    if (plan.ranges.empty()) {
        return create_failed(exit_refused, context.options.source + ": no partition holds anything");
    }
    return plan;
}

} // namespace seedbed
