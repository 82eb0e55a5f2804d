#include "daemon/commands/status.hpp"

#include <chrono>
#include <iostream>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "config/settings.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/status/status_document.hpp"
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
    bool json = false;
};

po::options_description describe(status_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("watch,w", po::bool_switch(&options.watch),
        "refresh every second until Ctrl-C; on a terminal, show the peers of each image, too");
    add("json", po::bool_switch(&options.json),
        "print the daemon's status document as JSON; with --watch, one document per line");
    add("socket", po::value(&options.socket)->value_name("PATH"),
        ("connect to the daemon with this [control] socket (default: " + options.socket + ")").c_str());
    return description;
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
        // As received, with keys that this program may not know; it parsed without error above.
        std::cout << nlohmann::ordered_json::parse(*answer).dump(2) << '\n';
    } else {
        for (auto const& line : status_table(*snapshot, standard_output_size().value_or(terminal_size{0, 0}).width)) {
            std::cout << line << '\n';
        }
    }
    return end_output("status", has_failed_image(*snapshot) ? exit_image_failed : exit_ok);
}

} // namespace

command_help status_help() {
    status_options options;
    return {"status",
            {"[--watch] [--json] [--socket PATH]"},
            {"Shows what the daemon on this machine is doing: the state, progress, rate, peers and time left of each "
             "image, which hosts have completed it and which have not, and what has failed."},
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
    return options.watch ? watch_status(options.socket, options.json) : show(options.socket, options.json);
}

} // namespace seedbed
