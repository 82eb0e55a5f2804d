#include "daemon/commands/create_image.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "core/device/block_device.hpp"
#include "core/image/bt_folder.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/partclone_run.hpp"
#include "core/image/source_checks.hpp"
#include "daemon/commands/create_source.hpp"

namespace seedbed {

namespace {

/// Contains nothing if it was cancelled.
using capture_result = result<std::optional<captured_image>, create_failure>;

capture_result take_raw_image(create_context const& context, block_device& source) {
    raw_capture_options how;
    how.holes = context.options.no_sparse;
    how.hashing.piece_length = context.options.torrent.piece_length;
    how.hashing.profile = profile_of(source.path());
    how.hashing.cancelled = &context.cancelled;
    how.progress = context.show_progress();
    context.progress.begin("hashing");
    auto image = capture_raw(source, how);
    if (!image) {
        return create_failed(image.error().refused ? exit_refused : exit_failed, image.error().message);
    }
    if (*image) {
        auto const bytes = (*image)->extents.total_size();
        context.progress.update(bytes, bytes);
        context.progress.finish(context.progress.summary("hashed"));
    }
    return std::move(*image);
}

capture_result capture(create_context const& context, create_source source) {
    auto const plan = plan_capture(context, *source.device, source.head);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    if (plan->program.empty()) {
        return take_raw_image(context, *source.device);
    }
    auto const name = std::filesystem::path(plan->program).filename().string();
    auto const run = partclone_of(context, *plan, *source.device);
    auto const size = source.device->size();
    if (opens_exclusively(plan->file_system)) {
        source.device.reset(); // partclone holds it from here on
    }
    context.progress.begin("capturing");
    context.progress.update(0, 0);
    auto info = run_partclone(run);
    if (!info) {
        context.progress.finish();
        auto const allowed = take_all_instead(context, info.error().message);
        if (!allowed) {
            return tl::unexpected(allowed.error());
        }
        if (!source.device) {
            auto again = open_source(context);
            if (!again) {
                return tl::unexpected(std::move(again.error()));
            }
            source = std::move(*again);
        }
        return take_raw_image(context, *source.device);
    }
    if (!*info) {
        return std::nullopt;
    }
    context.progress.finish(context.progress.summary(name + " captured"));
    for (auto const& line : left_out_copies(plan->file_system, source.head, size, (*info)->extents)) {
        warn(context, run.source, line);
    }
    return captured_image{std::move((*info)->extents), std::move((*info)->hashes)};
}

create_result from_source(create_context const& context) {
    auto opened = open_source(context);
    if (!opened) {
        return tl::unexpected(std::move(opened.error()));
    }
    auto const traits = opened->traits;
    auto image =
        context.options.capture ? capture(context, std::move(*opened)) : take_raw_image(context, *opened->device);
    if (!image) {
        return tl::unexpected(std::move(image.error()));
    }
    return *image ? std::optional(created_image{std::move(**image), traits}) : std::nullopt;
}

/// Checks the data files of a folder against the hashes of its torrent.info.
capture_result check_bt_folder(create_context const& context, captured_image image) {
    auto const& folder = context.options.bt_dir;
    auto const files = open_bt_folder(folder, image.extents);
    if (!files) {
        return create_failed(exit_refused, files.error().message);
    }
    hashing_options how;
    how.profile = profile_of(folder);
    how.cancelled = &context.cancelled;
    auto const total = image.extents.total_size();
    how.progress = [&](std::int64_t done) { context.progress.update(done, total); };
    context.progress.begin("checking");
    auto const hashes = hash_pieces(**files, image.extents, how);
    if (!hashes) {
        return create_failed(exit_failed, hashes.error().message());
    }
    if (!*hashes) {
        return std::nullopt;
    }
    context.progress.update(total, total);
    for (std::size_t piece = 0; piece < image.hashes.size(); ++piece) {
        if ((**hashes)[piece] != image.hashes[piece]) {
            return create_failed(exit_refused, folder + ": its files do not match torrent.info: the SHA-1 of piece " +
                                                   std::to_string(piece) + " differs");
        }
    }
    context.progress.finish(context.progress.summary("checked"));
    return image;
}

/// partclone.dd takes all bytes, also of a whole disk; the programs for file systems leave out unused blocks.
std::optional<image_traits> traits_of_partclone(extent_map const& extents) {
    auto const is_file_system = extents.total_size() < extents.device_end();
    return is_file_system ? std::optional(image_traits{.kind = image_kind::partition}) : std::nullopt;
}

capture_result from_partclone(create_context const& context) {
    auto info = load_partclone_info(context.options.partclone);
    if (!info) {
        return create_failed(exit_refused, info.error().message);
    }
    captured_image image{std::move(info->extents), std::move(info->hashes)};
    return context.options.bt_dir.empty() ? std::move(image) : check_bt_folder(context, std::move(image));
}

} // namespace

create_result create_image(create_options const& options, progress_display& progress,
                           std::atomic<bool> const& cancelled) {
    create_context const context{options, progress, cancelled};
    if (!options.source.empty()) {
        return from_source(context);
    }
    auto image = from_partclone(context);
    if (!image) {
        return tl::unexpected(std::move(image.error()));
    }
    if (!*image) {
        return std::nullopt;
    }
    auto const traits = traits_of_partclone((*image)->extents);
    return created_image{std::move(**image), traits};
}

} // namespace seedbed
