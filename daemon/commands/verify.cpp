#include "daemon/commands/verify.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include "core/backend/image_device.hpp"
#include "core/backend/image_verifier.hpp"
#include "core/device/device_guards.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/bad_extents.hpp"
#include "core/image/image_torrent.hpp"
#include "core/image/input_file.hpp"
#include "core/image/packed_image.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/verify_packed.hpp"
#include "daemon/commands/verify_report.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/terminal/console.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;
using clock = std::chrono::steady_clock;

struct verify_options {
    std::string torrent;
    std::string device;
    std::string profile;
    bool allow_mounted = false;
    bool json = false;
};

po::options_description describe(verify_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("profile", po::value(&options.profile)->value_name("CLASS"),
        "treat DEVICE as hdd, sata_ssd or nvme (default: detected, see 'seedbed probe')");
    add("allow-mounted", po::bool_switch(&options.allow_mounted),
        "continue with a warning if DEVICE is mounted read-write");
    add("json", po::bool_switch(&options.json), "print all bad extents in a JSON document (format 1, sizes in bytes)");
    return description;
}

/// Pieces to verify concurrently. On a hard disk two: one is read while the other is hashed. On other devices several
/// are read and hashed in parallel.
int pieces_at_a_time(io_profile const& profile) {
    auto const processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
    return profile.elevator ? 2 : std::clamp(profile.threads, 1, 2 * processors);
}

/// Verifies in the foreground; a signal that asks the program to end cancels it.
verify_result verify_image(std::shared_ptr<image_device> const& image, io_profile const& profile, console& shown) {
    using namespace std::chrono_literals;
    boost::asio::io_context main{1};
    boost::asio::signal_set signals(main);
    add_termination_signals(signals);
    boost::asio::steady_timer timer(main);
    auto const parallel = pieces_at_a_time(profile);
    worker_pool workers("verify", parallel);
    auto const total = image->torrent().extents.total_size();
    auto const began = clock::now();
    verify_result result;
    auto const verifier = image_verifier::start(image, workers, {parallel, profile.elevator}, [&](auto const& outcome) {
        boost::asio::post(main, [&, outcome] {
            result.outcome = outcome;
            signals.cancel();
            timer.cancel();
            main.stop();
        });
    });
    signals.async_wait([&](boost::system::error_code const& ec, int) {
        if (!ec) {
            verifier->cancel();
        }
    });
    std::function<void()> const show = [&] {
        shown.show_reading("verifying", verifier->verified_bytes(), total);
        timer.expires_after(100ms);
        timer.async_wait([&](boost::system::error_code const& ec) {
            if (!ec) {
                show();
            }
        });
    };
    show();
    main.run();
    shown.clear();
    result.seconds = std::chrono::duration<double>(clock::now() - began).count();
    return result;
}

int report(verify_options const& options, image_torrent const& torrent, verify_result const& result) {
    auto const bad = find_bad_extents(torrent, result.outcome.pieces);
    std::cout << (options.json ? verify_json(options.device, torrent, result, bad)
                               : verify_text(options.device, torrent, result, bad));
    if (auto const ended = end_output("verify", exit_ok); ended != exit_ok) {
        return ended;
    }
    if (result.outcome.read_failed) {
        return fail("verify", exit_device_failed,
                    printable(result.outcome.read_failed->message()) + "; not everything was read");
    }
    if (result.outcome.cancelled) {
        return fail("verify", exit_interrupted, "interrupted; not everything was read");
    }
    return result.outcome.ok() ? exit_ok : exit_failed;
}

int verify(verify_options const& options) {
    auto const cls =
        options.profile.empty() ? detect_storage_class(options.device).cls : *parse_storage_class(options.profile);
    if (auto const bytes = read_input_file(options.torrent, torrent_limits{}.file_size);
        bytes && is_packed_torrent(*bytes)) {
        return verify_packed(
            {options.torrent, options.device, default_profile(cls), options.allow_mounted, options.json}, *bytes);
    }
    auto torrent = load_image_torrent(options.torrent);
    if (!torrent) {
        return fail("verify", exit_bad_torrent, printable(torrent.error().message));
    }
    device_requirements requirements;
    requirements.min_size = torrent->extents.device_end();
    requirements.allow_mounted = options.allow_mounted;
    requirements.shared = true;
    auto device = open_block_device(options.device, requirements);
    if (!device) {
        return fail("verify", exit_refused, printable(device.error().message));
    }
    warn_if_mounted(options.device, requirements);
    auto const image = std::make_shared<image_device>(std::move(*torrent), std::move(*device));
    console shown;
    return report(options, image->torrent(), verify_image(image, default_profile(cls), shown));
}

} // namespace

command_help verify_help() {
    verify_options options;
    return {
        "verify",
        {"X.torrent DEVICE [OPTION]..."},
        {"Reads the image from DEVICE, a block device or a file, past the page cache, and compares it with the "
         ".torrent. Prints the bad extents: one differing byte makes a whole piece bad. DEVICE is only read; it may "
         "be in use, but not mounted read-write. For a packed image, the packed file is not needed."},
        to_option_helps(describe(options)),
        {{exit_ok, "no difference"},
         {exit_failed, "something differs, or an internal failure"},
         {exit_usage, "bad command line"},
         {exit_refused, "DEVICE was refused"},
         {exit_bad_torrent, "the .torrent cannot be read or was refused"},
         {exit_device_failed, "DEVICE cannot be read"},
         {exit_interrupted, "interrupted"}}};
}

int verify_command(std::vector<std::string> const& arguments) {
    verify_options options;
    auto all = describe(options);
    all.add_options()("torrent-file", po::value(&options.torrent))("device", po::value(&options.device));
    auto const taken =
        take_arguments(arguments, all, po::positional_options_description().add("torrent-file", 1).add("device", 1));
    if (!taken) {
        return fail_usage("verify", taken.error().message);
    }
    if (!*taken) {
        return show_help(verify_help());
    }
    if (options.device.empty()) {
        return fail_usage("verify", options.torrent.empty() ? "X.torrent and DEVICE are missing" : "DEVICE is missing");
    }
    if (!options.profile.empty() && !parse_storage_class(options.profile)) {
        return fail("verify", exit_usage, "--profile " + options.profile + ": expected hdd, sata_ssd or nvme");
    }
    try {
        return verify(options);
    } catch (std::exception const& e) {
        return fail("verify", exit_failed, std::string("internal failure: ") + e.what());
    }
}

} // namespace seedbed
