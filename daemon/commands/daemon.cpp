#include "daemon/commands/daemon.hpp"

#include <exception>
#include <iostream>
#include <string>

#include <boost/program_options.hpp>

#include "config/load.hpp"
#include "core/foundation/format_count.hpp"
#include "daemon/commands/check_image.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/service/app.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/node.hpp"
#include "daemon/service/termination.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

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

int check_config(settings const& configured, std::string const& file) {
    std::size_t refused = 0;
    if (auto const secret = load_secret(configured.network); !secret) {
        std::cout << "network.secret_file: " << secret.error().message << '\n';
        ++refused;
    }
    checked_torrents checked_before;
    for (auto const& image : configured.images) {
        auto const checked = check_image(image, configured, checked_before);
        std::cout << image.name << ": " << (checked ? *checked : "would fail: " + checked.error().message) << '\n';
        refused += checked ? 0 : 1;
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
    auto loaded = settings_from(file, required);
    if (!loaded) {
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
        {"Seeds and deploys the images listed in FILE and in images.d/*.toml beside it, until SIGTERM. On SIGHUP, it "
         "rereads them and applies the differences."},
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
