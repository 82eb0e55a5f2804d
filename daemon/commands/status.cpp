#include "daemon/commands/status.hpp"

#include <chrono>
#include <iostream>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "config/settings.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/status/board_document.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/status/status_document.hpp"
#include "daemon/terminal/machine_rows.hpp"
#include "daemon/terminal/status_layout.hpp"
#include "daemon/terminal/status_watch.hpp"
#include "daemon/terminal/terminal_screen.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

constexpr std::chrono::seconds answer_timeout{10};

struct status_options {
    std::string socket = control_settings{}.socket;
    bool watch = false;
    bool machines = false;
    bool json = false;
};

po::options_description describe(status_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("watch,w", po::bool_switch(&options.watch),
        "refresh every second until Ctrl-C; on a terminal, show the peers of each image, too, and read keys");
    add("machines,m", po::bool_switch(&options.machines),
        "show a row for each machine instead of each image, the worst first");
    add("json", po::bool_switch(&options.json),
        "print the daemon's document as JSON; with --watch, one document per line");
    add("socket", po::value(&options.socket)->value_name("PATH"),
        ("connect to the daemon with this [control] socket (default: " + options.socket + ")").c_str());
    return description;
}

void print_lines(std::vector<std::string> const& lines) {
    for (auto const& line : lines) {
        std::cout << line << '\n';
    }
}

std::size_t output_width() {
    return standard_output_size().value_or(terminal_size{0, 0}).width;
}

/// As received, with keys that this program may not know. \param text has been parsed without error.
void print_document(std::string const& text) {
    std::cout << nlohmann::ordered_json::parse(text).dump(2) << '\n';
}

int show_machines(std::string const& socket, bool as_json) {
    auto const answer = ask_daemon(socket, "/board", answer_timeout);
    if (!answer) {
        return fail("status", exit_failed, answer.error().message);
    }
    auto const shown = parse_board_document(*answer);
    if (!shown) {
        return fail("status", exit_failed, socket + ": " + shown.error().message);
    }
    if (as_json) {
        print_document(*answer);
    } else {
        print_lines(machine_table(*shown, output_width()));
    }
    return end_output("status", shown->failed_images.empty() ? exit_ok : exit_image_failed);
}

int show(std::string const& socket, bool as_json) {
    auto const answer = ask_daemon(socket, "/status", answer_timeout);
    if (!answer) {
        return fail("status", exit_failed, answer.error().message);
    }
    auto const snapshot = parse_status_document(*answer);
    if (!snapshot) {
        return fail("status", exit_failed, socket + ": " + snapshot.error().message);
    }
    if (as_json) {
        print_document(*answer);
    } else {
        print_lines(status_table(*snapshot, output_width()));
    }
    return end_output("status", has_failed_image(*snapshot) ? exit_image_failed : exit_ok);
}

} // namespace

command_help status_help() {
    status_options options;
    return {
        "status",
        {"[--watch] [--machines] [--json] [--socket PATH]"},
        {"Shows what the daemon on this machine is doing: the state, progress, rate, peers and time left of each "
         "image, which hosts have completed it and which have not, and what has failed.",
         "With --machines: the name, MAC address, phase, progress, rate, time left, disk and its class, and the "
         "error of each machine: failed and refused machines first, then stopped, running (the slowest first), waiting "
         "and done.",
         "On a terminal, --watch reads keys: q quits, m shows the machines, i the images, Tab switches between "
         "them. Among the machines, the arrows, Page Up, Page Down, Home and End select one; its details appear "
         "below the table. / filters by the text that follows (in a name, address, image, phase, disk or error; "
         "Escape shows all), s sorts by another column, r reverses the order. NO_COLOR=1 turns colours off."},
        to_option_helps(describe(options)),
        {{exit_ok, "shown"},
         {exit_failed, "cannot reach the daemon"},
         {exit_usage, "bad command line"},
         {exit_image_failed, "shown; an image has failed"}},
        {"With --watch, the last status shown decides between 0 and 3."}};
}

int status_command(std::vector<std::string> const& arguments) {
    status_options options;
    auto const description = describe(options);
    auto const taken = take_arguments(arguments, description);
    if (!taken) {
        return fail_usage("status", taken.error().message);
    }
    if (!*taken) {
        return show_help(status_help());
    }
    if (options.watch) {
        auto const view = options.machines ? status_view::machines : status_view::images;
        return watch_status(options.socket, view, options.json);
    }
    return options.machines ? show_machines(options.socket, options.json) : show(options.socket, options.json);
}

} // namespace seedbed
