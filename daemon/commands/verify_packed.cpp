#include "daemon/commands/verify_packed.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "core/device/file_block_device.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "core/layout/boot_sectors.hpp"
#include "core/layout/growth_plan.hpp"
#include "core/layout/table_reader.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/commands/verify_report.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/terminal/console.hpp"

namespace seedbed {

namespace {

/// Where the chunks are on a device, and how it may differ from the image.
struct where_to_compare {
    std::optional<deployment_plan> disk; ///< of a disk with a layout
    chunk_placement placement = {};
    std::vector<corrected_field> corrected = {};
};

/// Finds the partitions of a disk by its own table: they may have moved.
result<where_to_compare> find_chunks(packed_image const& image, block_device& device) {
    auto const& layout = image.description.layout;
    auto const raw = device.raw();
    if (!layout || !raw) {
        return where_to_compare{};
    }
    struct ::stat status = {};
    bool const is_file = ::fstat(raw->cached, &status) == 0 && S_ISREG(status.st_mode);
    auto const table = read_partition_table(raw->cached, device.path(), is_file ? layout->sector_size : 0);
    if (!table) {
        return tl::unexpected(table.error());
    }
    auto plan = find_deployment(*layout, *table);
    if (!plan) {
        return tl::unexpected(error{device.path() + ": " + plan.error().message});
    }
    auto placement = chunk_placement::make(image, plan->ranges);
    if (!placement) {
        return tl::unexpected(error{image.name + ": " + placement.error().message});
    }
    auto corrected = corrected_fields(device, *plan);
    if (!corrected) {
        return tl::unexpected(error{corrected.error().message()});
    }
    return where_to_compare{std::move(*plan), std::move(*placement), std::move(*corrected)};
}

packed_verification compare(verify_packed_options const& options, packed_image const& image, block_device& device,
                            where_to_compare const& where, std::atomic<bool> const& cancelled) {
    auto const processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    console shown;
    restore_options how;
    how.placement = where.placement;
    how.corrected = where.corrected;
    how.threads = options.profile.elevator ? 2 : std::clamp(options.profile.threads, 1, 2 * processors);
    how.cancelled = &cancelled;
    how.progress = [&shown, total = image.description.used.value()](std::int64_t done) {
        shown.show_reading("verifying", done, total);
    };
    auto const began = std::chrono::steady_clock::now();
    packed_verification result{compare_packed(image, device, how), where.placement, {}, 0};
    shown.clear();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (where.disk && where.disk->grown != 0) {
        auto const& in_image = *find_partition(*image.description.layout, where.disk->grown);
        result.grown = take_out_grown(image, in_image, where.disk->grown_by, result.found);
    }
    return result;
}

} // namespace

int verify_packed(verify_packed_options const& options, std::string const& bytes) {
    auto const image = parse_packed_image(bytes, options.torrent);
    if (!image) {
        return fail("verify", exit_bad_torrent, printable(image.error().message));
    }
    device_requirements requirements;
    requirements.min_size = image->description.layout ? 0 : image->geometry.source_size.value();
    requirements.allow_mounted = options.allow_mounted;
    requirements.shared = true;
    auto const device = open_block_device(options.device, requirements);
    if (!device) {
        return fail("verify", exit_refused, printable(device.error().message));
    }
    warn_if_mounted(options.device, requirements);
    auto const where = find_chunks(*image, **device);
    if (!where) {
        return fail("verify", exit_failed, printable(where.error().message));
    }
    termination_flag const termination;
    auto const result = compare(options, *image, **device, *where, termination.requested());
    auto const& found = result.found;
    std::cout << (options.json ? packed_verify_json(options.device, *image, result)
                               : packed_verify_text(options.device, *image, result));
    if (auto const ended = end_output("verify", exit_ok); ended != exit_ok) {
        return ended;
    }
    if (found.read_failed) {
        return fail("verify", exit_device_failed,
                    printable(found.read_failed->message()) + "; not everything was read");
    }
    if (found.cancelled) {
        return fail("verify", exit_interrupted, "interrupted; not everything was read");
    }
    return found.ok() ? exit_ok : exit_failed;
}

} // namespace seedbed
