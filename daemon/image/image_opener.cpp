#include "daemon/image/image_opener.hpp"

#include <algorithm>
#include <string_view>
#include <thread>
#include <utility>

#include <sys/stat.h>

#include <spdlog/fmt/fmt.h>

#include "core/device/device_guards.hpp"
#include "core/device/device_overview.hpp"
#include "core/image/first_piece.hpp"
#include "core/image/input_file.hpp"
#include "core/image/packed_restore.hpp"
#include "core/image/packed_target.hpp"
#include "daemon/swarm/torrent_trackers.hpp"

namespace seedbed {

namespace {

/// "auto" bypasses the page cache only for block devices: a file's blocks belong to its file system.
bool is_block_device(std::string const& path) {
    struct ::stat st = {};
    return ::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

bool has_direct_io(served_image& image) {
    auto const raw = image.storage().raw();
    return raw && raw->direct >= 0;
}

tl::unexpected<image_failure> open_failure(failure_kind kind, std::string reason) {
    return tl::unexpected(image_failure{kind, std::move(reason)});
}

/// The least size of an image's device. The size of a packed file is checked exactly, and whether a disk holds a layout
/// is decided by its plan.
std::int64_t least_size(image_settings const& settings, image_torrent const& torrent) {
    if (!torrent.packed) {
        // A capture leaves out the unused end of a file system, which still does not fit on a smaller device.
        auto const end = torrent.extents.device_end();
        return settings.mode == image_mode::deploy ? std::max(end, torrent.traits.size) : end;
    }
    auto const& packed = *torrent.packed;
    return settings.mode == image_mode::seed || packed.description.layout ? 0 : packed.geometry.source_size.value();
}

/// Refuses a source of a packed image that is not its packed file.
result<void, device_refusal> check_packed_source(image_settings const& settings, image_torrent const& torrent) {
    if (!torrent.packed || settings.mode != image_mode::seed) {
        return {};
    }
    if (auto const file = open_packed_file(settings.device, *torrent.packed); !file) {
        return tl::make_unexpected(device_refusal{device_guard::wrong_type, file.error().message});
    }
    return {};
}

/// Threads that unpack: enough to keep the processors busy while some wait for the device. On a hard disk few, so that
/// its head moves in one direction.
int unpacking_threads(io_profile const& profile) {
    auto const processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    return profile.elevator ? 2 : std::clamp(2 * processors, 2, 32);
}

/// What is known of a target before the deployment.
target_facts facts_of(std::string const& path, storage_class cls, std::int64_t size) {
    target_facts facts{path, cls};
    facts.disk_bytes = size;
    struct ::stat st = {};
    if (::stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode)) {
        facts.model = disk_names_of(st.st_rdev).model;
        auto const serials = device_serials(st.st_rdev);
        facts.serial = serials.empty() ? "" : serials.front();
    }
    return facts;
}

report_address address_for_reports(image_torrent const& torrent, std::string const& device) {
    return {torrent.info_hash, announce_urls(torrent), facts_of_refused(device)};
}

} // namespace

file_stamp stamp_of(std::string const& path) {
    struct ::stat st = {};
    if (::stat(path.c_str(), &st) != 0) {
        return {};
    }
    return {st.st_dev, st.st_ino, st.st_size, st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec};
}

result<loaded_torrent> load_served_torrent(std::string const& path, torrent_limits const& limits, bool want_file) {
    auto bytes = read_input_file(path, limits.file_size);
    if (!bytes) {
        return tl::unexpected(std::move(bytes.error()));
    }
    auto torrent = parse_any_torrent(*bytes, path, limits);
    if (!torrent) {
        return tl::unexpected(std::move(torrent.error()));
    }
    auto const has_tracker = !announce_urls(*torrent).empty();
    return loaded_torrent{std::move(*torrent),
                          want_file ? std::make_shared<served_torrent const>(std::move(*bytes), has_tracker) : nullptr};
}

device_requirements requirements_of(image_settings const& settings, image_torrent const& torrent) {
    device_requirements requirements;
    requirements.writable = settings.mode == image_mode::deploy;
    requirements.min_size = least_size(settings, torrent);
    requirements.allow_mounted = settings.allow_mounted;
    requirements.serial = settings.serial;
    requirements.size = settings.size;
    requirements.image = torrent.traits;
    // Without this, the first deployment to an empty disk would prevent the next one.
    requirements.begins_with_image = [&settings, &torrent] {
        return begins_with_first_piece(settings.device, torrent);
    };
    requirements.allow_mismatch = settings.allow_mismatch;
    return requirements;
}

result<void, device_refusal> check_image_device(image_settings const& settings, image_torrent const& torrent) {
    if (auto checked = check_block_device(settings.device, requirements_of(settings, torrent)); !checked) {
        return checked;
    }
    return check_packed_source(settings, torrent);
}

result<std::unique_ptr<block_device>, image_failure> image_opener::open_device(image_torrent const& torrent,
                                                                               io_profile const& profile) const {
    auto requirements = requirements_of(settings, torrent);
    requirements.direct_io = profile.direct_io == direct_io_mode::on ||
                             (profile.direct_io == direct_io_mode::automatic && is_block_device(settings.device));
    auto device = services.open_device(settings.device, requirements);
    auto const checked = device ? check_packed_source(settings, torrent) : tl::unexpected(device.error());
    if (!checked) {
        auto const& [guard, message] = checked.error();
        return tl::unexpected(
            image_failure{failure_kind::guard, message, guard, address_for_reports(torrent, settings.device)});
    }
    return std::move(*device);
}

result<void, image_failure> image_opener::add_ends(image_torrent const& torrent,
                                                   std::unique_ptr<block_device>& device) const {
    auto const has_layout = torrent.packed && torrent.packed->description.layout;
    if (settings.mode == image_mode::seed || has_layout) {
        return {};
    }
    auto const extents = torrent.packed ? torrent.packed->index.extents() : torrent.extents;
    if (!extents) {
        return open_failure(failure_kind::torrent, settings.torrent + ": " + extents.error().message);
    }
    device = std::make_unique<ends_last_device>(std::move(device), *extents, services.ends);
    return {};
}

result<void, image_failure> image_opener::add_target(image_torrent const& torrent, io_profile const& profile,
                                                     std::unique_ptr<block_device>& device,
                                                     std::shared_ptr<packed_plan const>& plan) const {
    if (!torrent.packed || settings.mode == image_mode::seed) {
        return {};
    }
    plan = services.plan;
    if (!plan) {
        auto made = packed_plan::make(*torrent.packed, settings.device, {});
        if (!made) {
            auto const& [cause, message] = made.error();
            return tl::unexpected(
                image_failure{cause == packed_plan_failure::cause::image ? failure_kind::torrent : failure_kind::guard,
                              message,
                              {},
                              address_for_reports(torrent, settings.device)});
        }
        plan = std::make_shared<packed_plan const>(std::move(*made));
    }
    packed_target_options options;
    options.placement = plan->placement();
    options.memory = packed_memory;
    options.threads = unpacking_threads(profile);
    device = std::make_unique<packed_target>(torrent.packed, std::move(device), std::move(options));
    return {};
}

result<opened_image, image_failure> image_opener::open() const {
    opened_image opened;
    opened.stamp = stamp_of(settings.torrent);
    torrent_limits limits;
    limits.file_size = max_torrent;
    auto loaded = load_served_torrent(settings.torrent, limits, services.serve_torrents);
    if (!loaded) {
        return open_failure(failure_kind::torrent, loaded.error().message);
    }
    auto& torrent = loaded->torrent;
    opened.torrent_file = loaded->file;
    opened.decision = detect_storage_class(settings.device);
    auto const& profile = profiles[static_cast<std::size_t>(settings.profile.value_or(opened.decision.cls))];
    auto device = open_device(torrent, profile);
    if (!device) {
        return tl::unexpected(device.error());
    }
    if (auto const added = add_ends(torrent, *device); !added) {
        return tl::unexpected(added.error());
    }
    if (settings.mode == image_mode::deploy) {
        opened.facts = facts_of(settings.device, opened.decision.cls, (*device)->size());
    }
    if (auto const added = add_target(torrent, profile, *device, opened.plan); !added) {
        return tl::unexpected(added.error());
    }
    auto made = services.shared->make_image(std::move(torrent), std::move(*device), profile);
    if (!made) {
        return open_failure(failure_kind::internal, made.error().message);
    }
    // The last owner may be the network thread, so a worker closes the device.
    opened.image = std::shared_ptr<served_image>(made->release(),
                                                 [&setup = services.setup, closed = on_closed](served_image* image) {
                                                     setup.submit([image, closed] {
                                                         delete image;
                                                         closed();
                                                     });
                                                 });
    if (use_checkpoint) {
        opened.resume = find_resume_point(services.checkpoints, opened.image->torrent(), settings.device,
                                          opened.plan ? opened.plan->placement_id() : std::string());
    }
    if (auto const added = services.shared->add_image(opened.image); !added) {
        return open_failure(failure_kind::internal, added.error().message);
    }
    // After the checkpoint was compared with the device's write counter, which wiping increases, and before the counter
    // is read again. A complete image has already been wiped, and its device is not written to again.
    auto const complete = opened.resume.found && opened.resume.found->complete();
    auto const planned = opened.plan && opened.plan->layout() != nullptr; // deploy_run wipes it
    if (settings.mode == image_mode::deploy && settings.wipe_signatures && !complete && !planned) {
        opened.wiped = wipe_old_content(*opened.image);
    }
    // A device that cannot be identified has no matching checkpoint, and changes to it are not detected.
    opened.identity = identify_device(settings.device).value_or(device_identity{});
    return opened;
}

std::string describe_engine(served_image& image, io_profile const& profile) {
    auto const* const way = has_direct_io(image) ? "direct I/O" : "page cache";
    if (image.io().engine() == std::string_view("io_uring")) {
        auto const refused = image.io().memory_refused();
        return fmt::format("io_uring, depth {}, {}{}", profile.queue_depth, way,
                           refused != 0 ? ", memory not locked (" + errno_name(refused) + ")" : "");
    }
    auto const refused = image.io().ring_refused();
    return fmt::format("{} threads, {}{}", profile.threads, way,
                       refused != 0 ? ", io_uring unavailable (" + errno_name(refused) + ")" : "");
}

void log_opened(log_fields const& fields, image_settings const& settings, opened_image const& opened,
                io_profile const& profile) {
    auto& image = *opened.image;
    auto const detected = opened.decision.cls;
    log_info(fields,
             fmt::format("{} {}: {}, info-hash {}", settings.mode == image_mode::seed ? "seed from" : "deploy to",
                         settings.device, size_text(image.torrent()), image.torrent().info_hash.to_hex()));
    auto const configured = settings.profile && *settings.profile != detected
                                ? fmt::format("; configured profile: {}", display_name(*settings.profile))
                                : "";
    log_info(fields, fmt::format("{}: {}, because {}{}; {}", settings.device, display_name(detected),
                                 opened.decision.evidence, configured, describe_engine(image, profile)));
    for (auto const& signature : opened.wiped.signatures) {
        log_info(fields, "wiped the signature of earlier content: " + describe(signature));
    }
    for (auto const& warning : opened.wiped.warnings) {
        log_warning(fields, settings.device + ": " + warning);
    }
    if (int const code = image.io().ring_refused(); code != 0 && profile.io_engine == io_engine_kind::io_uring) {
        log_warning(fields, "io_uring is unavailable (" + errno_name(code) + "); using threads");
    }
    if (profile.direct_io == direct_io_mode::on && !has_direct_io(image)) {
        log_warning(fields, "direct I/O is unavailable; using the page cache");
    }
}

} // namespace seedbed
