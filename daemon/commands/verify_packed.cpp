#include "daemon/commands/verify_packed.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <thread>

#include "core/device/file_block_device.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/commands/verify_report.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/terminal/console.hpp"

namespace seedbed {

int verify_packed(verify_packed_options const& options, std::string const& bytes) {
    auto const image = parse_packed_image(bytes, options.torrent);
    if (!image) {
        return fail("verify", exit_bad_torrent, printable(image.error().message));
    }
    device_requirements requirements;
    requirements.min_size = image->geometry.source_size.value();
    requirements.allow_mounted = options.allow_mounted;
    requirements.shared = true;
    auto const device = open_block_device(options.device, requirements);
    if (!device) {
        return fail("verify", exit_refused, printable(device.error().message));
    }
    warn_if_mounted(options.device, requirements);
    auto const processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    termination_flag const termination;
    console shown;
    restore_options how;
    how.threads = options.profile.elevator ? 2 : std::clamp(options.profile.threads, 1, 2 * processors);
    how.cancelled = &termination.requested();
    how.progress = [&shown, total = image->description.used.value()](std::int64_t done) {
        shown.show_reading("verifying", done, total);
    };
    auto const began = std::chrono::steady_clock::now();
    auto const found = compare_packed(*image, **device, how);
    shown.clear();
    auto const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    std::cout << (options.json ? packed_verify_json(options.device, *image, found, seconds)
                               : packed_verify_text(options.device, *image, found, seconds));
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
