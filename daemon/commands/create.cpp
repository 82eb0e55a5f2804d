#include "daemon/commands/create.hpp"

#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <optional>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>
#include <sys/stat.h>

#include "core/device/device_guards.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/save_file.hpp"
#include "core/image/bt_folder.hpp"
#include "core/image/capture.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/create_options.hpp"
#include "daemon/commands/partclone_run.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/terminal/progress.hpp"
#include "daemon/terminal/stop_signals.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

/// Why there is no image, and with which status the program ends.
struct create_failure {
    exit_code code = exit_failed;
    std::string message;
};
/// Nothing in it where a signal has come.
using create_result = result<std::optional<captured_image>, create_failure>;

tl::unexpected<create_failure> failed(exit_code code, std::string message) {
    return tl::make_unexpected(create_failure{code, std::move(message)});
}

/// What all ways to an image need.
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

/// Which of partclone's programs to run; nothing, after a line that says why, where it has to be a raw image.
std::optional<std::string> choose_partclone(create_context const& context, std::string const& source) {
    auto const fall_back = [&](std::string const& reason) {
        context.progress.print("seedbed create: " + source + ": " + reason + ": taking a raw image");
        return std::nullopt;
    };
    auto const content = probe_content(source);
    if (!content) {
        return fall_back("its file system cannot be looked for (" + content.error().message + ")");
    }
    auto const& file_system = content->type;
    if (file_system.empty()) {
        return fall_back("no file system is found on it");
    }
    auto const program = partclone_program(file_system);
    if (!program) {
        return fall_back("partclone knows no " + file_system);
    }
    auto const path = find_program(*program);
    return path.empty() ? fall_back(*program + " is not installed") : std::optional(path);
}

/// As it may be: read-only, or because the user says so.
bool is_mounted(block_device const& source) {
    auto const raw = source.raw();
    struct ::stat status = {};
    return raw && ::fstat(raw->cached, &status) == 0 && S_ISBLK(status.st_mode) &&
           find_mounted(devices_sharing_bytes(status.st_rdev));
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
        auto const hint =
            source.error().guard == device_guard::mounted ? " (--allow-mounted reads it all the same)" : "";
        return failed(exit_refused, source.error().message + hint);
    }
    return context.options.capture ? capture(context, **source) : take_raw_image(context, **source);
}

/// The pieces of a folder's files must be those of torrent.info.
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
            return failed(exit_refused, folder + ": its files do not hold what torrent.info says: piece " +
                                            std::to_string(piece) + " has another SHA-1");
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

std::string summary(create_options const& options, captured_image const& image, torrent_bytes const& made,
                    double seconds) {
    auto const extents = image.extents.extents().size();
    auto const bytes = image.extents.total_size();
    auto const pieces = image.hashes.size();
    if (options.json) {
        return nlohmann::ordered_json{{"name", options.torrent.name},
                                      {"path", options.output},
                                      {"info_hash", made.info_hash},
                                      {"bytes", bytes},
                                      {"extents", extents},
                                      {"pieces", pieces},
                                      {"piece_size", options.torrent.piece_length},
                                      {"seconds", seconds}}
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    std::ostringstream text;
    text << options.torrent.name << ": " << extents << (extents == 1 ? " extent, " : " extents, ") << bytes
         << " bytes, " << pieces << (pieces == 1 ? " piece" : " pieces") << ", info-hash " << made.info_hash;
    return text.str();
}

int create(create_options const& options) {
    auto const began = std::chrono::steady_clock::now();
    if (auto const possible = check_can_save(options.output, options.force); !possible) {
        return fail("create", exit_failed, possible.error().message);
    }
    stop_signals const signals;
    progress_display progress;
    create_context const context{options, progress, signals.requested()};
    auto const image = options.source.empty() ? from_partclone(context) : from_source(context);
    progress.finish();
    if (signals.requested()) {
        std::cerr << "seedbed create: interrupted, nothing is written" << std::endl;
        signals.end_process();
    }
    if (!image) {
        return fail("create", image.error().code, image.error().message);
    }
    auto const& [extents, hashes] = **image;
    auto const input = options.source.empty() ? options.partclone : options.source;
    auto const made = make_torrent(extents, hashes, options.torrent);
    if (!made) {
        return fail("create", exit_refused, input + ": " + made.error().message);
    }
    if (auto const saved = save_file(options.output, made->bytes, options.force); !saved) {
        return fail("create", exit_failed, saved.error().message);
    }
    std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - began;
    std::cout << summary(options, **image, *made, passed.count()) << '\n';
    return end_output("create", exit_ok);
}

} // namespace

int create_command(std::vector<std::string> const& arguments) {
    auto options = parse_create_options(arguments);
    if (!options) {
        return fail_usage("create", options.error().message);
    }
    if (options->help) {
        return show_help(create_help());
    }
    options->torrent.creator = "Seedbed " + program_version();
    try {
        return create(*options);
    } catch (std::exception const& e) {
        return fail("create", exit_failed, std::string("internal failure: ") + e.what()); // no memory, no threads
    }
}

} // namespace seedbed
