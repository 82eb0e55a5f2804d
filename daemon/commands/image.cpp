#include "daemon/commands/image.hpp"

#include <array>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string_view>
#include <system_error>
#include <utility>

#include <boost/program_options.hpp>

#include "config/load.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/image_config.hpp"
#include "daemon/commands/image_list.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/terminal/terminal_screen.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

struct image_options {
    std::string action;
    std::vector<std::string> operands;
    std::string config;
    bool json = false;
};

po::options_description describe(image_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("config,c", po::value(&options.config)->value_name("FILE"),
        (std::string("the daemon's configuration file (default: ") + default_config + ")").c_str());
    add("json", po::bool_switch(&options.json), "list: print the images as JSON (format 1, sizes in bytes)");
    return description;
}

/// Prints what a change has done: on standard error if it has failed.
int print_change(image_change const& change) {
    for (auto const& line : change.lines) {
        if (change.code == exit_ok) {
            std::cout << printable(line) << '\n';
        } else {
            fail("image", change.code, printable(line));
        }
    }
    return end_output("image", change.code);
}

int list(image_options const& options, config_location const& config) {
    auto const configured = load_settings(config.file, config.required);
    if (!configured) {
        return print_change({exit_usage, configured.error().lines});
    }
    auto const images = list_images(*configured);
    if (options.json) {
        std::cout << image_list_json(images) << '\n';
    } else {
        for (auto const& line : image_list_table(images, standard_output_size().value_or(terminal_size{0, 0}).width)) {
            std::cout << line << '\n';
        }
    }
    return end_output("image", exit_ok);
}

result<std::string> absolute(std::string const& path) {
    std::error_code ec;
    auto const full = std::filesystem::absolute(path, ec).lexically_normal().string();
    return ec ? tl::unexpected(error{"cannot determine the current folder: " + ec.message()})
              : result<std::string>(full);
}

int add(image_options const& options, config_location const& config) {
    image_to_add image{options.operands[0], {}, {}};
    auto const torrent = absolute(options.operands[1]);
    auto const device = options.operands.size() > 2 ? absolute(options.operands[2]) : std::string();
    if (!torrent || !device) {
        return fail("image", exit_failed, (torrent ? device : torrent).error().message);
    }
    image.torrent = *torrent;
    image.device = *device;
    return print_change(add_image(config, std::move(image)));
}

int run(image_options const& options) {
    auto const config = locate_config(options.config);
    if (options.action == "list") {
        return list(options, config);
    }
    return options.action == "add" ? add(options, config) : print_change(remove_image(config, options.operands[0]));
}

/// An action and the number of its operands.
struct action {
    std::string_view name;
    std::string_view usage;
    std::size_t least;
    std::size_t most;
};
constexpr std::array actions{action{"list", "list takes no arguments", 0, 0},
                             action{"add", "add takes NAME TORRENT [DEVICE]", 2, 3},
                             action{"remove", "remove takes a NAME", 1, 1}};

result<void> check_operands(image_options const& options) {
    if (options.action.empty()) {
        return bad_option("list, add or remove is missing");
    }
    for (auto const& each : actions) {
        if (each.name == options.action) {
            if (options.json && each.name != "list") {
                return bad_option("--json applies to list only");
            }
            auto const count = options.operands.size();
            return count < each.least || count > each.most ? bad_option(std::string(each.usage)) : result<void>();
        }
    }
    return bad_option("unknown action '" + options.action + "'" +
                      did_you_mean(options.action, {"list", "add", "remove"}));
}

} // namespace

command_help image_help() {
    image_options options;
    return {"image",
            {"list [--json]", "add NAME TORRENT [DEVICE]", "remove NAME"},
            {"Shows or changes the images of this server. list prints those of the configuration, with their state in "
             "the running daemon.",
             "add has the daemon serve DEVICE, a device or a file, as TORRENT describes it, under NAME. For a packed "
             "image, DEVICE is by default the packed file beside TORRENT. Everything that 'seedbed daemon "
             "--check-config' checks is checked first. Then images.d/NAME.toml is written beside the configuration "
             "file, and the daemon reloads. If the daemon refuses the image, or the image fails, the file is removed "
             "again. A device such as /dev/sda1 is written with its persistent name in /dev/disk/by-id.",
             "remove deletes images.d/NAME.toml, and the daemon stops serving the image. Its data and its .torrent "
             "stay."},
            to_option_helps(describe(options)),
            {{exit_ok, "done; if no daemon is running, it serves the image after its next start"},
             {exit_failed, "a file cannot be written, or the daemon does not answer"},
             {exit_usage, "bad command line, or the configuration has errors; nothing was changed"},
             {exit_refused, "the image was refused; nothing was changed"}}};
}

int image_command(std::vector<std::string> const& arguments) {
    image_options options;
    auto const description = describe(options);
    auto all = description;
    auto add = all.add_options();
    add("action", po::value(&options.action));
    add("operand", po::value(&options.operands));
    auto const taken =
        take_arguments(arguments, all, po::positional_options_description().add("action", 1).add("operand", -1));
    if (!taken) {
        return fail_usage("image", taken.error().message);
    }
    if (!*taken) {
        return show_help(image_help());
    }
    if (auto const checked = check_operands(options); !checked) {
        return fail_usage("image", checked.error().message);
    }
    try {
        return run(options);
    } catch (std::exception const& e) {
        return fail("image", exit_failed, std::string("internal failure: ") + e.what());
    }
}

} // namespace seedbed
