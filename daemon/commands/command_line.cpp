#include "daemon/commands/command_line.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <string_view>

#include "daemon/commands/agent.hpp"
#include "daemon/commands/agent_options.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/create.hpp"
#include "daemon/commands/create_options.hpp"
#include "daemon/commands/daemon.hpp"
#include "daemon/commands/deploy.hpp"
#include "daemon/commands/deploy_options.hpp"
#include "daemon/commands/history.hpp"
#include "daemon/commands/image.hpp"
#include "daemon/commands/machine.hpp"
#include "daemon/commands/probe.hpp"
#include "daemon/commands/restore.hpp"
#include "daemon/commands/restore_options.hpp"
#include "daemon/commands/status.hpp"
#include "daemon/commands/verify.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

struct command {
    std::string_view name;
    std::string_view summary;
    int (*run)(std::vector<std::string> const&);
    command_help (*help)();
    bool holds_signals = false; ///< unblocks them itself once its handlers are installed
};

constexpr std::array commands{
    command{"daemon", "seed and deploy the images of a configuration file", daemon_command, daemon_help, true},
    command{"deploy", "write one image to a device, then exit", deploy_command, deploy_help},
    command{"agent", "ask a server what to deploy to this machine, and do it", agent_command, agent_help},
    command{"status", "show what the daemon is doing", status_command, status_help},
    command{"machine", "import and list machines, and order their deployment", machine_command, machine_help},
    command{"history", "list and export the deployments that have ended", history_command, history_help},
    command{"verify", "compare a device with a .torrent", verify_command, verify_help},
    command{"create", "make a .torrent of a disk, a partition or an image file", create_command, create_help},
    command{"image", "list, add or remove the images of this server", image_command, image_help},
    command{"restore", "write a packed image to a device without a network", restore_command, restore_help},
    command{"probe", "show the class and the profile of devices", probe_command, probe_help},
};

void print_help(std::ostream& out) {
    out << "Usage: seedbed COMMAND [OPTION]...\n\nCommands:\n";
    for (auto const& c : commands) {
        out << "  " << std::left << std::setw(9) << c.name << c.summary << '\n';
    }
    out << "\n'seedbed help COMMAND' shows the options of a command.\n";
}

int fail_usage(std::string const& message) {
    std::cerr << "seedbed: " << message << "; see 'seedbed --help'\n";
    return exit_usage;
}

int unknown(std::string const& word) {
    std::vector<std::string> known{"help", "--help", "--version"};
    std::ranges::transform(commands, std::back_inserter(known), [](command const& c) { return std::string(c.name); });
    auto const* const kind = word.starts_with('-') ? "option" : "command";
    return fail_usage(std::string("unknown ") + kind + " '" + word + "'" + did_you_mean(word, known));
}

command const* find_command(std::string_view name) {
    auto const* const found = std::ranges::find(commands, name, &command::name);
    return found != commands.end() ? found : nullptr;
}

bool asks_for_help(std::string_view word) {
    return word == "--help" || word == "-h" || word == "help";
}

/// \param topics the arguments after "help": a command, or nothing.
int help(std::vector<std::string> const& topics) {
    if (topics.size() > 1) {
        return fail_usage("help takes one command");
    }
    if (topics.empty() || asks_for_help(topics.front())) {
        print_help(std::cout);
        return end_output("", exit_ok);
    }
    auto const* const about = find_command(topics.front());
    return about != nullptr ? show_help(about->help()) : unknown(topics.front());
}

int version(std::vector<std::string> const& more) {
    if (!more.empty()) {
        return fail_usage("--version takes no arguments");
    }
    std::cout << "seedbed " + program_version() + "\n";
    return end_output("", exit_ok);
}

} // namespace

std::vector<subcommand> subcommands() {
    std::vector<subcommand> all;
    all.reserve(commands.size());
    for (auto const& c : commands) {
        all.push_back({std::string(c.summary), c.help()});
    }
    return all;
}

int run_command_line(std::vector<std::string> const& arguments) {
    if (arguments.empty()) {
        print_help(std::cerr);
        return exit_usage;
    }
    auto const& name = arguments.front();
    std::vector<std::string> const rest(arguments.begin() + 1, arguments.end());
    if (asks_for_help(name)) {
        return help(rest);
    }
    if (name == "--version") {
        return version(rest);
    }
    auto const* const chosen = find_command(name);
    if (chosen == nullptr) {
        return unknown(name);
    }
    if (!chosen->holds_signals) {
        release_termination_signals();
    }
    return chosen->run(rest);
}

} // namespace seedbed
