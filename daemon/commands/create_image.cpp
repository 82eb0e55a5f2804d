#include "daemon/commands/create_image.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <sys/stat.h>

#include "core/device/device_guards.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/image/bt_folder.hpp"
#include "core/image/image_origin.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/partclone_run.hpp"
#include "core/image/source_checks.hpp"

namespace seedbed {

namespace {

tl::unexpected<create_failure> failed(exit_code code, std::string message) {
    return tl::make_unexpected(create_failure{code, std::move(message)});
}

/// Contains nothing if it was cancelled.
using capture_result = result<std::optional<captured_image>, create_failure>;

/// Shared by all ways to create an image.
struct create_context {
    create_options const& options;
    progress_display& progress;
    std::atomic<bool> const& cancelled;

    /// The progress of hashing, as a function of the bytes done and the total.
    [[nodiscard]] auto show_progress() const {
        return [this](std::int64_t done, std::int64_t total) { progress.update(done, total); };
    }
};

io_profile profile_of(std::string const& path) {
    return default_profile(detect_storage_class(path).cls);
}

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
        return failed(image.error().refused ? exit_refused : exit_failed, image.error().message);
    }
    if (*image) {
        auto const bytes = (*image)->extents.total_size();
        context.progress.update(bytes, bytes);
        context.progress.finish(context.progress.summary("hashed"));
    }
    return std::move(*image);
}

void warn(create_context const& context, std::string const& source, std::string const& what) {
    context.progress.print("seedbed create: " + source + ": " + what);
}

/// The first bytes of a source; fewer if it is shorter, none if it cannot be read, in which case reading all of it will
/// fail.
std::string head_of(block_device& source) {
    std::string head(static_cast<std::size_t>(std::min<std::int64_t>(source.size(), source_head)), '\0');
    if (!source.read(0, std::as_writable_bytes(std::span(head.data(), head.size())))) {
        head.clear();
    }
    return head;
}

/// How to capture the file system on a source.
struct capture_plan {
    std::string file_system; ///< blkid's name
    std::string program;     ///< the path of partclone's; empty: take a raw image
};

/// A failure, or a plan for a raw image after printing the reason, if the user allowed that.
result<capture_plan, create_failure> plan_raw(create_context const& context, std::string const& source,
                                              std::string const& reason) {
    if (!context.options.raw_if_needed) {
        return failed(exit_refused,
                      source + ": " + reason + "; pass --raw-if-needed to take a raw image of all its bytes");
    }
    warn(context, source, reason + "; taking a raw image");
    return capture_plan{};
}

/// Refuses a file system of which this device is only a part, and a hibernated Windows.
result<void, create_failure> check_file_system(create_context const& context, block_device& source,
                                               std::string const& file_system) {
    if (auto const missing = missing_part(file_system, head_of(source))) {
        return failed(exit_refused, source.path() + ": " + *missing +
                                        "; an image of this device alone is incomplete. Take raw images of all of "
                                        "them, without --capture");
    }
    auto const suspended = file_system == "ntfs" ? find_hibernation(source.path()) : hibernation::none;
    if (suspended == hibernation::hibernated && !context.options.allow_hibernated) {
        return failed(exit_refused, source.path() +
                                        ": Windows is hibernated on it, or was shut down with fast startup; "
                                        "shut it down fully (shutdown /s /t 0), or pass --allow-hibernated");
    }
    if (suspended == hibernation::unknown) {
        warn(context, source.path(), "cannot check for a hibernated Windows: ntfscat (ntfs-3g) is not installed");
    }
    return {};
}

result<capture_plan, create_failure> plan_capture(create_context const& context, block_device& source) {
    auto const& path = source.path();
    auto const content = probe_content(path);
    if (!content) {
        return plan_raw(context, path, "cannot detect its file system (" + content.error().message + ")");
    }
    if (content->ambiguous) {
        return plan_raw(context, path,
                        "several signatures (" + signature_types(content->signatures) +
                            "), of which only one can be valid; erase the others with wipefs");
    }
    auto const& file_system = content->type;
    if (file_system.empty()) {
        return plan_raw(context, path, "no file system found");
    }
    auto const program = partclone_program(file_system);
    if (!program) {
        return plan_raw(context, path, "partclone does not support " + file_system);
    }
    if (auto const checked = check_file_system(context, source, file_system); !checked) {
        return tl::unexpected(checked.error());
    }
    auto const found = find_program(*program);
    return found.empty() ? plan_raw(context, path, *program + " is not installed") : capture_plan{file_system, found};
}

/// The source may be mounted: read-only, or with --allow-mounted.
bool is_mounted(block_device const& source) {
    auto const raw = source.raw();
    struct ::stat status = {};
    return raw && ::fstat(raw->cached, &status) == 0 && find_mounted(stack_of(status));
}

capture_result capture(create_context const& context, std::unique_ptr<block_device> source) {
    auto const plan = plan_capture(context, *source);
    if (!plan) {
        return tl::unexpected(plan.error());
    }
    if (plan->program.empty()) {
        return take_raw_image(context, *source);
    }
    auto const name = std::filesystem::path(plan->program).filename().string();
    partclone_run run;
    run.program = plan->program;
    run.source = source->path();
    run.mounted = is_mounted(*source);
    run.progress = context.show_progress();
    run.warning = [&](std::string const& line) { warn(context, run.source, name + ": " + line); };
    run.cancelled = &context.cancelled;
    auto const head = head_of(*source);
    auto const size = source->size();
    if (opens_exclusively(plan->file_system)) {
        source.reset(); // partclone holds it from here on
    }
    context.progress.begin("capturing");
    context.progress.update(0, 0);
    auto info = run_partclone(run);
    if (!info) {
        return failed(exit_failed, info.error().message);
    }
    if (!*info) {
        return std::nullopt;
    }
    context.progress.finish(context.progress.summary(name + " captured"));
    for (auto const& line : left_out_copies(plan->file_system, head, size, (*info)->extents)) {
        warn(context, run.source, line);
    }
    return captured_image{std::move((*info)->extents), std::move((*info)->hashes)};
}

create_result from_source(create_context const& context) {
    auto const& path = context.options.source;
    device_requirements requirements;
    requirements.allow_mounted = context.options.allow_mounted;
    auto const geometry = query_device_geometry(path);
    requirements.direct_io = geometry && geometry->is_block_device;
    // Held to the end, even while partclone reads it, unless partclone opens it exclusively itself.
    auto source = open_block_device(path, requirements);
    if (!source) {
        auto const* const hint =
            source.error().guard == device_guard::mounted ? " (pass --allow-mounted to read it anyway)" : "";
        return failed(exit_refused, source.error().message + hint);
    }
    auto const head = head_of(**source);
    if (auto const format = packed_format(head); format && !context.options.raw) {
        return failed(exit_refused, path + ": " + *format +
                                        ", not a raw image; unpack or convert it first, or pass --raw to take its "
                                        "bytes as they are");
    }
    auto const sector = requirements.direct_io ? geometry->logical_block_size : 0;
    auto const traits = traits_of(probe_content(path).value_or(disk_content{}), head, sector);
    auto image = context.options.capture ? capture(context, std::move(*source)) : take_raw_image(context, **source);
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

capture_result from_partclone(create_context const& context) {
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
    if (!options.source.empty()) {
        return from_source(context);
    }
    auto image = from_partclone(context);
    if (!image) {
        return tl::unexpected(std::move(image.error()));
    }
    return *image ? std::optional(created_image{std::move(**image), {}}) : std::nullopt;
}

} // namespace seedbed
