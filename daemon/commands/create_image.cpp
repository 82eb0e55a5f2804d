#include "daemon/commands/create_image.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include <sys/stat.h>

#include "core/device/device_guards.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/image/bt_folder.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/partclone_run.hpp"

namespace seedbed {

namespace {

tl::unexpected<create_failure> failed(exit_code code, std::string message) {
    return tl::make_unexpected(create_failure{code, std::move(message)});
}

/// Shared by all ways to make an image.
struct create_context {
    create_options const& options;
    progress_display& progress;
    std::atomic<bool> const& cancelled;

    /// The progress of hashing, as a function of bytes done and all.
    [[nodiscard]] auto show_progress() const {
        return [this](std::int64_t done, std::int64_t total) { progress.update(done, total); };
    }
};

io_profile profile_of(std::string const& path) {
    return default_profile(detect_storage_class(path).cls);
}

create_result take_raw_image(create_context const& context, block_device& source) {
    raw_capture_options how;
    how.holes = context.options.no_sparse;
    how.hashing.piece_length = context.options.torrent.piece_length;
    how.hashing.profile = profile_of(source.path());
    how.hashing.cancelled = &context.cancelled;
    how.progress = context.show_progress();
    context.progress.begin("hashing");
    auto image = capture_raw(source, how);
    if (!image) {
        return failed(image.error().refused ? exit_refused : exit_failed, image.error().message);
    }
    if (*image) {
        auto const bytes = (*image)->extents.total_size();
        context.progress.update(bytes, bytes);
        context.progress.finish(context.progress.summary("hashed"));
    }
    return std::move(*image);
}

/// The path of partclone's program for the file system on \p source; nothing, after printing why, if it has to be a raw
/// image.
std::optional<std::string> choose_partclone(create_context const& context, std::string const& source) {
    auto const fall_back = [&](std::string const& reason) {
        context.progress.print("seedbed create: " + source + ": " + reason + "; taking a raw image");
        return std::nullopt;
    };
    auto const content = probe_content(source);
    if (!content) {
        return fall_back("cannot detect its file system (" + content.error().message + ")");
    }
    auto const& file_system = content->type;
    if (file_system.empty()) {
        return fall_back("no file system found");
    }
    auto const program = partclone_program(file_system);
    if (!program) {
        return fall_back("partclone does not support " + file_system);
    }
    auto const path = find_program(*program);
    return path.empty() ? fall_back(*program + " is not installed") : std::optional(path);
}

/// It may be: read-only, or with --allow-mounted.
bool is_mounted(block_device const& source) {
    auto const raw = source.raw();
    struct ::stat status = {};
    return raw && ::fstat(raw->cached, &status) == 0 && find_mounted(stack_of(status));
}

create_result capture(create_context const& context, block_device& source) {
    auto const program = choose_partclone(context, source.path());
    if (!program) {
        return take_raw_image(context, source);
    }
    partclone_run run;
    run.program = *program;
    run.source = source.path();
    run.mounted = is_mounted(source);
    run.progress = context.show_progress();
    run.cancelled = &context.cancelled;
    context.progress.begin("capturing");
    context.progress.update(0, 0);
    auto info = run_partclone(run);
    if (!info) {
        return failed(exit_failed, info.error().message);
    }
    if (!*info) {
        return std::nullopt;
    }
    context.progress.finish(
        context.progress.summary(std::filesystem::path(*program).filename().string() + " captured"));
    return captured_image{std::move((*info)->extents), std::move((*info)->hashes)};
}

create_result from_source(create_context const& context) {
    auto const& path = context.options.source;
    device_requirements requirements;
    requirements.allow_mounted = context.options.allow_mounted;
    auto const geometry = query_device_geometry(path);
    requirements.direct_io = geometry && geometry->is_block_device;
    // Held to the end, also while partclone reads it.
    auto const source = open_block_device(path, requirements);
    if (!source) {
        auto const* const hint =
            source.error().guard == device_guard::mounted ? " (pass --allow-mounted to read it anyway)" : "";
        return failed(exit_refused, source.error().message + hint);
    }
    return context.options.capture ? capture(context, **source) : take_raw_image(context, **source);
}

/// Checks the data files of a folder against the hashes of its torrent.info.
create_result check_bt_folder(create_context const& context, captured_image image) {
    auto const& folder = context.options.bt_dir;
    auto const files = open_bt_folder(folder, image.extents);
    if (!files) {
        return failed(exit_refused, files.error().message);
    }
    hashing_options how;
    how.profile = profile_of(folder);
    how.cancelled = &context.cancelled;
    auto const total = image.extents.total_size();
    how.progress = [&](std::int64_t done) { context.progress.update(done, total); };
    context.progress.begin("checking");
    auto const hashes = hash_pieces(**files, image.extents, how);
    if (!hashes) {
        return failed(exit_failed, hashes.error().message());
    }
    if (!*hashes) {
        return std::nullopt;
    }
    context.progress.update(total, total);
    for (std::size_t piece = 0; piece < image.hashes.size(); ++piece) {
        if ((**hashes)[piece] != image.hashes[piece]) {
            return failed(exit_refused, folder + ": its files do not match torrent.info: the SHA-1 of piece " +
                                            std::to_string(piece) + " differs");
        }
    }
    context.progress.finish(context.progress.summary("checked"));
    return image;
}

create_result from_partclone(create_context const& context) {
    auto info = load_partclone_info(context.options.partclone);
    if (!info) {
        return failed(exit_refused, info.error().message);
    }
    captured_image image{std::move(info->extents), std::move(info->hashes)};
    return context.options.bt_dir.empty() ? std::move(image) : check_bt_folder(context, std::move(image));
}

} // namespace

create_result create_image(create_options const& options, progress_display& progress,
                           std::atomic<bool> const& cancelled) {
    create_context const context{options, progress, cancelled};
    return options.source.empty() ? from_partclone(context) : from_source(context);
}

} // namespace seedbed
