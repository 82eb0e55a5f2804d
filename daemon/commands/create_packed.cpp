#include "daemon/commands/create_packed.hpp"

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "core/device/device_identity.hpp"
#include "core/foundation/save_file.hpp"
#include "core/image/image_origin.hpp"
#include "core/image/packed_capture.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/source_checks.hpp"
#include "daemon/commands/create_disk.hpp"
#include "daemon/commands/create_saved.hpp"

namespace seedbed {

namespace {

constexpr std::int32_t usual_sector = 512; ///< of a file

template <class Value>
using maybe = result<std::optional<Value>, create_failure>;

maybe<std::vector<packed_range>> all_ranges(block_device const& source) {
    auto all = whole_source(source);
    return all ? maybe<std::vector<packed_range>>(std::move(*all)) : create_failed(exit_failed, all.error().message);
}

/// The ranges of the source to pack. Nothing if it was cancelled. With f2fs, closes the device and opens it again.
maybe<std::vector<packed_range>> find_ranges(create_context const& context, create_source& source,
                                             std::int32_t sector_size) {
    auto const plan = context.options.raw ? result<capture_plan, create_failure>(capture_plan{})
                                          : plan_capture(context, *source.device, source.head);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    if (plan->program.empty()) {
        return all_ranges(*source.device);
    }
    auto const run = partclone_of(context, *plan, *source.device);
    auto const size = source.device->size();
    if (opens_exclusively(plan->file_system)) {
        source.device.reset(); // partclone holds it meanwhile
    }
    context.progress.begin("finding used blocks");
    auto used = find_used_blocks(run);
    context.progress.finish();
    if (used && !*used) {
        return std::nullopt;
    }
    if (!source.device) {
        auto again = open_source(context);
        if (!again) {
            return tl::unexpected(std::move(again.error()));
        }
        source = std::move(*again);
        source.sector_size = sector_size;
    }
    if (!used) {
        auto const allowed = take_all_instead(context, used.error().message);
        return allowed ? all_ranges(*source.device) : tl::unexpected(allowed.error());
    }
    auto const copies = metadata_copies(plan->file_system, source.head, size);
    (*used)->insert((*used)->end(), copies.begin(), copies.end());
    return ranges_of(std::move(**used), sector_size, size);
}

/// The source is a disk whose partitions are packed one by one, without its table.
bool is_disk(create_options const& options, create_source const& source) {
    return source.traits.kind == image_kind::disk && !options.raw;
}

/// The ranges to pack, and the layout of a disk. Nothing if it was cancelled.
maybe<std::vector<packed_range>> plan_source(create_context const& context, create_source& source,
                                             std::optional<disk_layout>& layout) {
    if (!is_disk(context.options, source)) {
        return find_ranges(context, source, source.sector_size);
    }
    auto plan = plan_disk(context, source);
    if (!plan) {
        return tl::unexpected(std::move(plan.error()));
    }
    if (!*plan) {
        return std::nullopt;
    }
    layout = std::move((*plan)->layout);
    return std::move((*plan)->ranges);
}

packed_description describe(create_source const& source, std::optional<disk_layout> layout) {
    packed_description description;
    description.kind = source.traits.kind == image_kind::disk ? image_kind::disk : image_kind::partition;
    description.source_size = byte_count{source.device->size()};
    description.sector_size = source.sector_size;
    description.layout = std::move(layout);
    description.content = source.traits.content;
    description.label = source.content.label;
    description.uuid = source.content.uuid;
    return description;
}

/// Whether the source was written to since it was identified.
bool was_changed(create_options const& options, std::optional<device_identity> const& before) {
    auto const now = identify_device(options.source);
    return before && !options.allow_mounted && now && changed_since(*before, *now) == device_change::written;
}

/// The two files of a packed image, until they have their names.
struct output_files {
    pending_file packed;
    pending_file torrent;
    std::string torrent_path;
};

/// What to pack.
struct packed_input {
    block_device& device;
    std::int32_t sector_size = 0;
    io_profile profile;
    std::vector<packed_range> const& ranges;
};

result<packed_geometry, create_failure> geometry_of(create_options const& options, block_device const& device,
                                                    std::int32_t sector_size) {
    packed_geometry const geometry{byte_count{device.size()}, sector_size, options.torrent.piece_length};
    if (auto const checked = check_geometry(geometry); !checked) {
        return create_failed(exit_refused, device.path() + ": " + checked.error().message);
    }
    return geometry;
}

/// Packs into an open file. Nothing if it was cancelled.
maybe<packed_content> pack(create_context const& context, packed_input const& input, pending_file const& file) {
    auto const geometry = geometry_of(context.options, input.device, input.sector_size);
    if (!geometry) {
        return tl::unexpected(geometry.error());
    }
    auto const total = total_length(input.ranges);
    packing_options how;
    how.geometry = *geometry;
    how.level = context.options.level;
    how.threads = context.options.jobs;
    how.profile = input.profile;
    how.cancelled = &context.cancelled;
    how.progress = [&context, total](packing_progress const& now) {
        context.progress.update(
            now.done, total,
            now.packed > 0 ? fmt::format("{:.2f}:1", static_cast<double>(now.done) / static_cast<double>(now.packed))
                           : "");
    };
    context.progress.begin("packing");
    context.progress.update(0, total);
    auto made = pack_source(input.device, input.ranges, {file.fd(), context.options.output}, how);
    if (!made) {
        return create_failed(exit_failed, made.error().message());
    }
    if (*made) {
        context.progress.update(total, total);
        context.progress.finish(context.progress.summary("packed"));
    }
    return std::move(*made);
}

/// Gives both files their names, after both are on the disk.
result<void> save_both(pending_file& packed, pending_file& torrent, std::string const& bytes) {
    if (!write_all(torrent.fd(), bytes)) {
        return tl::unexpected(errno_error(torrent.path().string(), errno));
    }
    for (auto* const file : {&packed, &torrent}) {
        if (auto flushed = file->flush(); !flushed) {
            return flushed;
        }
    }
    if (auto saved = packed.save(); !saved) {
        return saved;
    }
    return torrent.save();
}

/// Makes the .torrent and saves both files.
result<saved_packed_image, create_failure> save(create_context const& context, output_files& files,
                                                packed_content const& content, packed_description description,
                                                image_traits const& traits) {
    auto const& input =
        context.options.source.empty() ? context.options.from_partclone.front() : context.options.source;
    auto details = context.options.torrent;
    details.comment = to_comment(traits);
    description.level = context.options.level;
    auto const bytes =
        make_packed_torrent(byte_count{content.size}, content.hashes, std::move(description), content.index, details);
    auto const extents = content.index.extents();
    if (!bytes || !extents) {
        return create_failed(exit_refused, input + ": " + (bytes ? extents.error() : bytes.error()).message);
    }
    if (auto const saved = save_both(files.packed, files.torrent, bytes->bytes); !saved) {
        return create_failed(exit_failed, saved.error().message);
    }
    return saved_packed_image{bytes->info_hash,
                              files.torrent_path,
                              content.index.used().value(),
                              content.size,
                              static_cast<std::int64_t>(extents->extents().size()),
                              content.index.piece_count()};
}

/// Of a device or an image file.
maybe<saved_packed_image> pack_device(create_context const& context, output_files& files) {
    auto const& options = context.options;
    auto source = open_source(context);
    if (!source) {
        return tl::unexpected(std::move(source.error()));
    }
    auto const identified = identify_device(options.source);
    auto const before = identified ? std::optional(*identified) : std::nullopt;
    source->sector_size = source->sector_size > 0 ? source->sector_size : usual_sector;
    if (auto const checked = geometry_of(options, *source->device, source->sector_size); !checked) {
        return tl::unexpected(checked.error());
    }
    std::optional<disk_layout> layout;
    auto const ranges = plan_source(context, *source, layout);
    if (!ranges) {
        return tl::unexpected(ranges.error());
    }
    if (!*ranges) {
        return std::nullopt;
    }
    auto const made =
        pack(context, {*source->device, source->sector_size, profile_of(options.source), **ranges}, files.packed);
    if (!made) {
        return tl::unexpected(made.error());
    }
    if (!*made) {
        return std::nullopt;
    }
    if (was_changed(options, before)) {
        return create_failed(exit_failed, options.source + ": was changed while it was being read");
    }
    return save(context, files, **made, describe(*source, std::move(layout)), source->traits);
}

/// Of files that partclone wrote.
maybe<saved_packed_image> pack_saved(create_context const& context, output_files& files) {
    auto source = open_saved(context);
    if (!source) {
        return tl::unexpected(std::move(source.error()));
    }
    auto const made =
        pack(context, {*source->device, source->sector_size, saved_disk::profile(), source->ranges}, files.packed);
    if (!made) {
        auto const& why = source->device->failure();
        return why ? create_failed(exit_failed, why->message) : tl::unexpected(made.error());
    }
    if (!*made) {
        return std::nullopt;
    }
    auto description = describe_saved(context, *source);
    if (!description) {
        return tl::unexpected(description.error());
    }
    image_traits const traits{description->kind, description->content,
                              description->kind == image_kind::disk ? description->sector_size : 0};
    return save(context, files, **made, std::move(*description), traits);
}

} // namespace

std::string torrent_beside(std::string const& packed_file) {
    return std::filesystem::path(packed_file).replace_extension(".torrent").string();
}

maybe<saved_packed_image> create_packed_image(create_options const& options, progress_display& progress,
                                              std::atomic<bool> const& cancelled) {
    create_context const context{options, progress, cancelled};
    auto const torrent_path = torrent_beside(options.output);
    auto packed = pending_file::create(options.output, options.force);
    auto torrent = pending_file::create(torrent_path, options.force);
    if (!packed || !torrent) {
        return create_failed(exit_failed, (packed ? torrent : packed).error().message);
    }
    output_files files{std::move(*packed), std::move(*torrent), torrent_path};
    auto saved = is_saved(options) ? pack_saved(context, files) : pack_device(context, files);
    if (!saved && cancelled) { // the signal may have ended a program, too
        return std::nullopt;
    }
    return saved;
}

} // namespace seedbed
