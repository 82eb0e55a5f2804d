#include "daemon/commands/command_line.hpp"

#include <array>
#include <iomanip>
#include <iostream>
#include <string_view>

#include "daemon/commands/create.hpp"
#include "daemon/commands/daemon.hpp"
#include "daemon/commands/deploy.hpp"
#include "daemon/commands/probe.hpp"
#include "daemon/commands/status.hpp"
#include "daemon/commands/verify.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

struct command {
    std::string_view name;
    std::string_view summary;
    int (*run)(std::vector<std::string> const&);
    command_help (*help)();
};

constexpr std::array commands{
    command{"daemon", "seed and deploy the images of a configuration file", daemon_command, daemon_help},
    command{"deploy", "write one image to a device and end", deploy_command, deploy_help},
    command{"status", "show what the daemon does", status_command, status_help},
    command{"verify", "compare what is on a device with a .torrent", verify_command, verify_help},
    command{"create", "make a .torrent of a disk, a partition or an image file", create_command, create_help},
    command{"probe", "show how devices are classified and which profile they get", probe_command, probe_help},
};

void print_help(std::ostream& out) {
    out << "Usage: seedbed COMMAND [OPTION]...\n\nCommands:\n";
    for (auto const& c : commands) {
        out << "  " << std::left << std::setw(9) << c.name << c.summary << '\n';
    }
    out << "\n'seedbed COMMAND --help' tells the options of a command.\n";
}

int end_output() {
    if (std::cout.flush()) {
        return exit_ok;
    }
    std::cerr << "seedbed: standard output: cannot be written\n";
    return exit_failed;
}

} // namespace

std::vector<subcommand> subcommands() {
    std::vector<subcommand> all;
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
    if (name == "--help" || name == "-h" || name == "help") {
        print_help(std::cout);
        return end_output();
    }
    if (name == "--version") {
        std::cout << "seedbed " + program_version() + "\n";
        return end_output();
    }
    for (auto const& c : commands) {
        if (name == c.name) {
            return c.run({arguments.begin() + 1, arguments.end()});
        }
    }
    std::cerr << "seedbed: unknown command '" << name << "'; see 'seedbed --help'\n";
    return exit_usage;
}

} // namespace seedbed
