#include "daemon/commands/daemon.hpp"

#include <exception>
#include <iostream>
#include <map>
#include <string>

#include <boost/program_options.hpp>

#include "config/load.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/image/image_opener.hpp"
#include "daemon/image/packed_plan.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/service/app.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/node.hpp"
#include "daemon/service/termination.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

constexpr char const* default_config = "/etc/seedbed/seedbed.toml";

struct daemon_options {
    std::string config;
    bool check_config = false;
    bool check_syntax = false;
};

po::options_description describe(daemon_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("config,c", po::value(&options.config)->value_name("FILE"),
        (std::string("read this configuration file (default: ") + default_config + ", if it exists)").c_str());
    add("check-config", po::bool_switch(&options.check_config), "report what the configuration would do, then exit");
    add("check-syntax", po::bool_switch(&options.check_syntax),
        "check the configuration alone, neither torrents nor devices, then exit");
    return description;
}

/// The images checked so far, by the info-hash of their torrent.
using checked_torrents = std::map<info_hash, image_settings const*>;

/// Prints a line on what the daemon would do with an image, or why it would fail. Opens the device for reading only.
bool check_image(image_settings const& image, settings const& configured, checked_torrents& checked_before) {
    auto const refuse = [&](std::string const& reason) {
        std::cout << image.name << ": would fail: " << reason << '\n';
        return false;
    };
    torrent_limits limits;
    limits.file_size = configured.memory.max_torrent;
    auto const torrent = load_any_torrent(image.torrent, limits);
    if (!torrent) {
        return refuse(torrent.error().message);
    }
    // The daemon serves a torrent from only one device.
    if (auto const [first, is_new] = checked_before.try_emplace(torrent->info_hash, &image); !is_new) {
        return refuse(image.torrent + " has the same info-hash as " + first->second->torrent + " of image " +
                      first->second->name);
    }
    if (auto const checked = check_image_device(image, *torrent); !checked) {
        return refuse(checked.error().message);
    }
    if (torrent->packed && image.mode == image_mode::deploy) {
        if (auto const planned = packed_plan::make(*torrent->packed, image.device, {}); !planned) {
            return refuse(planned.error().message);
        }
    }
    auto const decision = detect_storage_class(image.device);
    auto const cls = image.profile.value_or(decision.cls);
    std::cout << image.name << ": " << to_string(image.mode) << (image.mode == image_mode::seed ? " from " : " to ")
              << image.device << ": " << size_text(*torrent) << ", info-hash " << torrent->info_hash.to_hex() << "; "
              << display_name(decision.cls) << ", because " << decision.evidence << "; profile " << to_string(cls)
              << ", " << format_count(configured.profile(cls).threads, "thread") << '\n';
    return true;
}

int check_config(settings const& configured, std::string const& file) {
    std::size_t refused = 0;
    if (auto const secret = load_secret(configured.network); !secret) {
        std::cout << "network.secret_file: " << secret.error().message << '\n';
        ++refused;
    }
    checked_torrents checked_before;
    for (auto const& image : configured.images) {
        refused += check_image(image, configured, checked_before) ? 0 : 1;
    }
    std::cout << file << ": " << format_count(configured.images.size(), "image");
    if (refused == 0) {
        std::cout << ", the configuration is valid\n";
    } else {
        std::cout << ", " << refused << " would fail\n";
    }
    return end_output("daemon", refused == 0 ? exit_ok : exit_refused);
}

int run(std::string const& file, bool required, daemon_options const& options) {
    if (options.check_config || options.check_syntax) {
        release_termination_signals();
    }
    auto loaded = load_settings(file, required);
    if (!loaded) {
        for (auto const& line : loaded.error().lines) {
            std::cerr << line << '\n';
        }
        return exit_usage;
    }
    if (options.check_config) {
        return check_config(*loaded, file);
    }
    if (options.check_syntax) {
        return exit_ok;
    }
    start_logging(loaded->log.level);
    try {
        app daemon(file, required, *loaded);
        return daemon.run();
    } catch (std::exception const& e) {
        log_error({}, std::string("internal failure: ") + e.what());
        return exit_failed;
    }
}

} // namespace

command_help daemon_help() {
    daemon_options options;
    return {
        "daemon",
        {"[--config FILE] [--check-config | --check-syntax]"},
        {"Seeds and deploys the images listed in FILE and in images.d/*.toml beside it, until SIGTERM. SIGHUP reads "
         "them again and applies the differences."},
        to_option_helps(describe(options)),
        {{exit_ok, "stopped by a signal; --check-config, --check-syntax: the configuration is valid"},
         {exit_failed, "cannot listen on an address, or an internal failure"},
         {exit_usage, "bad command line or configuration; nothing was started"},
         {exit_refused, "--check-config: an image would be refused"}},
        {"A failed image does not stop the daemon."}};
}

int daemon_command(std::vector<std::string> const& arguments) {
    daemon_options options;
    auto const description = describe(options);
    auto const taken = take_arguments(arguments, description);
    if (!taken) {
        return fail_usage("daemon", taken.error().message);
    }
    if (!*taken) {
        return show_help(daemon_help());
    }
    return options.config.empty() ? run(default_config, false, options) : run(options.config, true, options);
}

} // namespace seedbed
