#include "daemon/commands/status.hpp"

#include <chrono>
#include <iostream>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "config/settings.hpp"
#include "daemon/commands/status_client.hpp"
#include "daemon/commands/status_layout.hpp"
#include "daemon/commands/status_watch.hpp"
#include "daemon/commands/terminal_screen.hpp"
#include "daemon/exit_code.hpp"
#include "daemon/service/status_document.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

constexpr std::chrono::seconds answer_timeout{10};

void print_help(po::options_description const& description) {
    std::cout
        << "Usage: seedbed status [--watch] [--json] [--socket PATH]\n\n"
           "Shows what the daemon on this machine does: each image with its state, how far it is, its rate, its "
           "peers,\n"
           "the time left, and what has failed.\n\n"
        << description
        << "\nExit status: 0 shown, 1 the daemon cannot be reached, 2 bad command line, 3 shown, and an image has "
           "failed.\n"
           "With --watch, what was shown last decides.\n";
}

int fail(exit_code code, std::string const& message) {
    std::cerr << "seedbed status: " << message << '\n';
    return code;
}

int show(std::string const& socket, bool json) {
    auto const answer = ask_daemon(socket, "/status", answer_timeout);
    if (!answer) {
        return fail(exit_failed, answer.error().message);
    }
    auto const snapshot = parse_status_document(*answer);
    if (!snapshot) {
        return fail(exit_failed, socket + ": " + snapshot.error().message);
    }
    if (json) {
        // As it came, with keys that this program may not know; it has been parsed once.
        std::cout << nlohmann::ordered_json::parse(*answer).dump(2) << '\n';
    } else {
        for (auto const& line : status_table(*snapshot, standard_output_size().value_or(terminal_size{0, 0}).width)) {
            std::cout << line << '\n';
        }
    }
    if (!std::cout.flush()) {
        return fail(exit_failed, "standard output: cannot be written");
    }
    return has_failed_image(*snapshot) ? exit_image_failed : exit_ok;
}

} // namespace

int status_command(std::vector<std::string> const& arguments) {
    std::string socket;
    bool watch = false;
    bool json = false;
    po::options_description description("Options");
    auto add = description.add_options();
    add("help,h", "show this help");
    add("watch,w", po::bool_switch(&watch),
        "show it anew each second, on a terminal with the peers of each image, until Ctrl-C");
    add("json", po::bool_switch(&json), "print the daemon's JSON document; with --watch one a line");
    add("socket", po::value(&socket)->value_name("PATH")->default_value(control_settings{}.socket),
        "the daemon's socket, [control] socket in its configuration");
    try {
        po::variables_map values;
        auto const style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        po::store(po::command_line_parser(arguments)
                      .options(description)
                      .positional(po::positional_options_description())
                      .style(style)
                      .run(),
                  values);
        if (values.count("help") != 0) {
            print_help(description);
            return exit_ok;
        }
        po::notify(values);
    } catch (po::error const& e) {
        return fail(exit_usage, std::string(e.what()) + "; see 'seedbed status --help'");
    }
    return watch ? watch_status(socket, json) : show(socket, json);
}

} // namespace seedbed
