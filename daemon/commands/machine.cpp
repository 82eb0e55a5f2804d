#include "daemon/commands/machine.hpp"

#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "config/config_file.hpp"
#include "config/load.hpp"
#include "config/value_formats.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/save_file.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/machine/machine_csv.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/terminal/terminal_screen.hpp"
#include "daemon/terminal/text_table.hpp"
#include "daemon/text/json_members.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;
namespace fs = std::filesystem;

constexpr std::chrono::seconds machine_answer_timeout{30};
constexpr int machine_list_format = 1;

struct machine_options {
    std::vector<std::string> words; ///< "import", FILE
    std::string config;
    std::string socket = control_settings{}.socket;
    bool json = false;
};

po::options_description describe(machine_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("json", po::bool_switch(&options.json), "list: print a JSON document (format 1)");
    add("config", po::value(&options.config)->value_name("FILE"),
        "import: the daemon's configuration file; machines.d is beside it (default: /etc/seedbed/seedbed.toml)");
    add("socket", po::value(&options.socket)->value_name("PATH"),
        ("list, redo: connect to the daemon with this [control] socket (default: " + options.socket + ")").c_str());
    return description;
}

int print_errors(std::vector<std::string> const& lines) {
    for (auto const& line : lines) {
        std::cerr << line << '\n';
    }
    return fail("machine", exit_usage, "nothing was written");
}

int import_machines(machine_options const& options) {
    fs::path const csv = options.words[1];
    auto const name = csv.stem().string();
    if (check_name_of_image(name)) {
        return fail("machine", exit_usage,
                    printable(csv.string()) + ": its name cannot be the name of a file in machines.d: rename it");
    }
    auto const text = read_config_file(csv);
    if (!text) {
        return fail("machine", exit_usage, text.error().message);
    }
    auto const toml = machines_from_csv(*text, csv.string());
    if (!toml) {
        return print_errors(toml.error().lines);
    }
    fs::path const config = options.config.empty() ? default_config : options.config;
    auto const folder = config.parent_path() / "machines.d";
    auto const written = folder / (name + ".toml");
    auto const checked = check_machine_file(config, !options.config.empty(), written, *toml, csv);
    if (!checked) {
        return print_errors(checked.error().lines);
    }
    std::error_code failed;
    fs::create_directories(folder, failed);
    if (failed) {
        return fail("machine", exit_failed, errno_error(folder.string(), failed.value()).message);
    }
    if (auto const saved = save_file(written, *toml, true); !saved) {
        return fail("machine", exit_failed, saved.error().message);
    }
    std::cout << written.string() << ": written; " << format_count(checked->machines.size(), "machine")
              << " in all; run \"systemctl reload seedbed\"\n";
    return end_output("machine", exit_ok);
}

std::string cell(nlohmann::json const& machine, char const* key) {
    return printable(member_text(machine, key));
}

void print_machines(nlohmann::json const& machines) {
    text_table table({{"NAME"}, {"MAC OR SERIAL"}, {"STATE"}, {"PHASE"}, {"IMAGE"}, {"DISK"}, {"ADDRESS"}, {"REASON"}});
    for (auto const& machine : machines) {
        auto const name = cell(machine, "name");
        auto const mac = cell(machine, "mac");
        auto const device = cell(machine, "device");
        auto phase = cell(machine, "state") == "running" ? cell(machine, "phase") : std::string();
        if (auto const percent = machine.find("percent");
            !phase.empty() && percent != machine.end() && percent->is_number_integer()) {
            phase += " " + std::to_string(percent->get<int>()) + "%";
        }
        table.add_row({name.empty() ? "(unknown)" : name, mac.empty() ? cell(machine, "serial") : mac,
                       cell(machine, "state"), phase, cell(machine, "image"),
                       device.empty() ? cell(machine, "disk") : device, cell(machine, "address"),
                       cell(machine, "reason")});
    }
    for (auto const& line : table.lines(standard_output_size().value_or(terminal_size{0, 0}).width)) {
        std::cout << line << '\n';
    }
}

int list_machines(machine_options const& options) {
    auto const answer = ask_daemon(options.socket, "/machines", machine_answer_timeout);
    if (!answer) {
        return fail("machine", exit_failed, answer.error().message);
    }
    auto const document = nlohmann::ordered_json::parse(*answer, nullptr, false);
    auto const format = document.is_object() ? document.value("format", 0) : 0;
    if (format != machine_list_format || !document.contains("machines") || !document["machines"].is_array()) {
        return fail("machine", exit_failed, options.socket + ": the daemon's list of machines has another format");
    }
    if (options.json) {
        std::cout << document.dump(2) << '\n';
    } else {
        print_machines(document["machines"]);
    }
    return end_output("machine", exit_ok);
}

int redo_machine(machine_options const& options) {
    auto const answer =
        ask_daemon(options.socket, "/machines/redo?name=" + percent_encoded(options.words[1]), machine_answer_timeout);
    if (!answer) {
        return fail("machine", exit_failed, answer.error().message);
    }
    if (answer->empty()) {
        std::cout << "no job has ended: nothing to order again\n";
    } else {
        std::cout << "ordered again:\n" << *answer;
    }
    return end_output("machine", exit_ok);
}

} // namespace

command_help machine_help() {
    machine_options options;
    return {
        "machine",
        {"import FILE.csv [--config FILE]", "list [--json] [--socket PATH]", "redo NAME|all [--socket PATH]"},
        {"Manages the machines that run 'seedbed agent' and get an image from this server, once.",
         "import checks the machines of a CSV file, and then writes them to machines.d, into a file of the same name, "
         "which it replaces. The first line names the columns: name, mac or serial, image, and optionally disk, "
         "grow, new_ids and after. seedbed.toml(5) explains them. Fields may also be separated by semicolons. The "
         "daemon applies the "
         "change at its next reload.",
         "list shows each machine and its job: waiting for the machine to ask, running, done, refused or failed; and "
         "machines that have asked for a job, but are not configured. 'seedbed history' lists the jobs that have "
         "ended.",
         "redo orders a new job for the machine NAME, or for all machines whose job has ended."},
        to_option_helps(describe(options)),
        {{exit_ok, "done"},
         {exit_failed, "the daemon cannot be reached or refuses the order, or the file cannot be written"},
         {exit_usage, "bad command line, CSV file or configuration; nothing was written"}}};
}

int machine_command(std::vector<std::string> const& arguments) {
    machine_options options;
    auto all = describe(options);
    all.add_options()("words", po::value(&options.words));
    auto const taken = take_arguments(arguments, all, po::positional_options_description().add("words", -1));
    if (!taken) {
        return fail_usage("machine", taken.error().message);
    }
    if (!*taken) {
        return show_help(machine_help());
    }
    auto const verb = options.words.empty() ? std::string() : options.words[0];
    auto const wants_one = verb == "import" || verb == "redo";
    if (verb == "history") {
        return fail_usage("machine", "use 'seedbed history'");
    }
    if (!wants_one && verb != "list") {
        return fail_usage("machine", verb.empty() ? "import, list or redo is missing"
                                                  : "unknown action '" + verb + "'" +
                                                        did_you_mean(verb, {"import", "list", "redo"}));
    }
    if (options.words.size() != (wants_one ? 2U : 1U)) {
        return fail_usage("machine", verb + (wants_one ? " takes one argument" : " takes no argument"));
    }
    return verb == "import" ? import_machines(options)
           : verb == "list" ? list_machines(options)
                            : redo_machine(options);
}

} // namespace seedbed
