#include "daemon/commands/create_source.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <span>
#include <utility>

#include <sys/stat.h>

#include "core/device/device_guards.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/find_program.hpp"
#include "core/image/image_origin.hpp"
#include "core/image/source_checks.hpp"

namespace seedbed {

namespace {

/// The first bytes of a source; fewer if it is shorter, none if it cannot be read, in which case reading all of it will
/// fail.
std::string head_of(block_device& source) {
    std::string head(static_cast<std::size_t>(std::min<std::int64_t>(source.size(), source_head)), '\0');
    if (!source.read(0, std::as_writable_bytes(std::span(head.data(), head.size())))) {
        head.clear();
    }
    return head;
}

/// A failure, or a plan for all bytes after printing the reason, if the user allowed that.
result<capture_plan, create_failure> plan_raw(create_context const& context, std::string const& source,
                                              std::string const& reason) {
    return take_all_because(context, source, reason).map([] { return capture_plan{}; });
}

/// Refuses a file system of which this device is only a part, and a hibernated Windows.
result<void, create_failure> check_file_system(create_context const& context, block_device& source,
                                               std::string const& head, std::string const& file_system) {
    if (auto const missing = missing_part(file_system, head)) {
        return create_failed(exit_refused,
                             source.path() + ": " + *missing + "; an image of this device alone is incomplete. " +
                                 (context.options.pack ? "Pack all of them, with --raw"
                                                       : "Take raw images of all of them, without --capture"));
    }
    return file_system == "ntfs" ? check_hibernation(context, source.path(), source.path())
                                 : result<void, create_failure>();
}

/// The source may be mounted: read-only, or with --allow-mounted.
bool is_mounted(block_device const& source) {
    auto const raw = source.raw();
    struct ::stat status = {};
    return raw && ::fstat(raw->cached, &status) == 0 && find_mounted(stack_of(status));
}

} // namespace

tl::unexpected<create_failure> create_failed(exit_code code, std::string message) {
    return tl::make_unexpected(create_failure{code, std::move(message)});
}

void warn(create_context const& context, std::string const& source, std::string const& what) {
    context.progress.print("seedbed create: " + source + ": " + what);
}

io_profile profile_of(std::string const& path) {
    return default_profile(detect_storage_class(path).cls);
}

result<create_source, create_failure> open_source(create_context const& context) {
    auto const& path = context.options.source;
    device_requirements requirements;
    requirements.allow_mounted = context.options.allow_mounted;
    requirements.unclaimed = !context.options.allow_mounted;
    auto const geometry = query_device_geometry(path);
    requirements.direct_io = geometry && geometry->is_block_device;
    auto device = open_block_device(path, requirements);
    if (!device) {
        auto const* const hint =
            device.error().guard == device_guard::mounted ? " (pass --allow-mounted to read it anyway)" : "";
        return create_failed(exit_refused, device.error().message + hint);
    }
    create_source source;
    source.device = std::move(*device);
    source.head = head_of(*source.device);
    if (auto const format = packed_format(source.head); format && !context.options.raw) {
        return create_failed(exit_refused, path + ": " + *format +
                                               ", not a raw image; unpack or convert it first, or pass --raw to take "
                                               "its bytes as they are");
    }
    source.sector_size = requirements.direct_io ? geometry->logical_block_size : 0;
    source.content = probe_content(path).value_or(disk_content{});
    source.traits = traits_of(source.content, source.head, source.sector_size);
    return source;
}

result<void, create_failure> check_hibernation(create_context const& context, std::string const& name,
                                               std::string const& path) {
    auto const suspended = find_hibernation(path);
    if (suspended == hibernation::hibernated && !context.options.allow_hibernated) {
        return create_failed(exit_refused, name + ": Windows is hibernated on it, or was shut down with fast startup; "
                                                  "shut it down fully (shutdown /s /t 0), or pass --allow-hibernated");
    }
    if (suspended == hibernation::unknown) {
        warn(context, name, "cannot check for a hibernated Windows: ntfscat (ntfs-3g) is not installed");
    }
    return {};
}

std::optional<std::string> why_not_unmounted(create_context const& context, std::string const& name,
                                             std::string const& type, std::string const& head,
                                             std::string const& path) {
    if (context.options.allow_mounted) {
        return std::nullopt;
    }
    auto const found = find_journal(type, head, path);
    if (found == journal::unknown) {
        warn(context, name,
             "cannot check that it was unmounted: xfs_logprint (xfsprogs) is not installed, or has failed");
    }
    return found == journal::pending
               ? std::optional<std::string>("it was not unmounted, so its journal holds changes that are not in place "
                                            "yet; mount and unmount it first")
               : std::nullopt;
}

result<void, create_failure> take_all_because(create_context const& context, std::string const& name,
                                              std::string const& reason) {
    auto const pack = context.options.pack;
    if (!context.options.raw_if_needed) {
        return create_failed(exit_refused, name + ": " + reason + "; pass --raw-if-needed to " +
                                               (pack ? "pack all its bytes" : "take a raw image of all its bytes"));
    }
    warn(context, name, reason + (pack ? "; packing all its bytes" : "; taking a raw image"));
    return {};
}

result<void, create_failure> take_all_instead(create_context const& context, std::string const& message) {
    auto const pack = context.options.pack;
    if (!context.options.raw_if_needed) {
        return create_failed(exit_failed, message + "; pass --raw-if-needed to " +
                                              (pack ? "pack all its bytes" : "take a raw image of all its bytes"));
    }
    context.progress.print("seedbed create: " + message + (pack ? "; packing all its bytes" : "; taking a raw image"));
    return {};
}

result<capture_plan, create_failure> plan_capture(create_context const& context, block_device& source,
                                                  std::string const& head) {
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
    if (auto const checked = check_file_system(context, source, head, file_system); !checked) {
        return tl::unexpected(checked.error());
    }
    if (auto const why = why_not_unmounted(context, path, file_system, head, path)) {
        return plan_raw(context, path, *why);
    }
    auto const found = find_program(*program);
    return found.empty() ? plan_raw(context, path, *program + " is not installed") : capture_plan{file_system, found};
}

partclone_run partclone_of(create_context const& context, capture_plan const& plan, block_device const& source) {
    auto const name = std::filesystem::path(plan.program).filename().string();
    partclone_run run;
    run.program = plan.program;
    run.source = source.path();
    run.size = source.size();
    run.mounted = is_mounted(source);
    run.progress = context.show_progress();
    run.warning = [&context, name, path = run.source](std::string const& line) {
        warn(context, path, name + ": " + line);
    };
    run.cancelled = &context.cancelled;
    return run;
}

} // namespace seedbed
