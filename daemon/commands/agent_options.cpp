#include "daemon/commands/agent_options.hpp"

#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/program_options.hpp>

#include "config/mac_address.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

struct raw_agent_options {
    std::string server;
    std::string after;
    std::string hook_limit;
    std::string seed_until_idle;
    std::vector<std::string> macs;
    raw_peer_options peer;
};

po::options_description describe(agent_options& options, raw_agent_options& raw) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("server", po::value(&raw.server)->value_name("URL"),
        "the server: http://HOST:PORT, with the port of its tracker (default: 6969)");
    add("once", po::bool_switch(&options.once), "exit after one job, or if there is none");
    add("after-deploy", po::value(&options.hooks)->value_name("DIR"),
        "after a deployment, run the programs in DIR in the order of their names; one that fails makes the job fail");
    add("after-deploy-timeout", po::value(&raw.hook_limit)->value_name("TIME"),
        "kill a program of --after-deploy that runs longer than TIME (default: 5min)");
    add("after", po::value(&raw.after)->value_name("ACTION"),
        "when the job is done, reboot, poweroff or wait (default: as the server orders)");
    add("mac", po::value(&raw.macs)->value_name("MAC"),
        "identify this machine by this MAC address; may be repeated (default, without --mac and --serial: by those of "
        "its network cards and by its DMI serial number)");
    add("serial", po::value(&options.serial)->value_name("SERIAL"),
        "identify this machine by this serial number (default: see --mac)");
    add("power", po::value(&options.power)->value_name("FILE"),
        "to reboot or power off, run the program FILE with the argument reboot or poweroff (default: systemctl, or the "
        "kernel's own call if systemd is not running)");
    add("seed-until-idle", po::value(&raw.seed_until_idle)->value_name("TIME"),
        "when the image is on the disk, seed until no peer has downloaded anything for TIME (default: 15s)");
    describe_peer_options(description, options, raw.peer);
    add("state", po::value(&options.state)->value_name("DIR"),
        "keep checkpoints in DIR (default: as for 'seedbed deploy')");
    add("config", po::value(&options.config)->value_name("FILE"),
        "take profiles, memory, network and log level, but no images, from this configuration file");
    return description;
}

result<void> read_macs(raw_agent_options const& raw, agent_options& options) {
    for (auto const& text : raw.macs) {
        auto mac = parse_mac_address(text);
        if (!mac) {
            return bad_option("--mac " + mac.error().message);
        }
        options.macs.push_back(std::move(*mac));
    }
    return {};
}

result<void> read_durations(raw_agent_options const& raw, agent_options& options) {
    std::optional<std::chrono::milliseconds> hooks;
    std::optional<std::chrono::milliseconds> idle;
    for (auto const& read : {read_time("--after-deploy-timeout", raw.hook_limit, hooks),
                             read_time("--seed-until-idle", raw.seed_until_idle, idle)}) {
        if (!read) {
            return read;
        }
    }
    options.hook_limit = hooks.value_or(options.hook_limit);
    options.seed_until_idle = idle.value_or(options.seed_until_idle);
    if (options.hook_limit < std::chrono::seconds(1)) {
        return bad_option("--after-deploy-timeout " + raw.hook_limit + ": expected at least 1s");
    }
    return {};
}

result<void> read_action(raw_agent_options const& raw, agent_options& options) {
    options.after = parse_after_deploy(raw.after);
    if (!raw.after.empty() && !options.after) {
        return bad_option("--after " + raw.after + ": expected reboot, poweroff or wait");
    }
    return {};
}

result<void> read_folders(agent_options& options) {
    std::error_code failed;
    for (auto* const path : {&options.hooks, &options.state, &options.power}) {
        if (!path->empty()) {
            *path = std::filesystem::absolute(*path, failed).string();
        }
    }
    return failed ? bad_option("cannot determine the current folder: " + failed.message()) : result<void>();
}

result<void> complete(raw_agent_options const& raw, agent_options& options) {
    if (raw.server.empty()) {
        return bad_option("--server URL is missing");
    }
    auto server = parse_server_url(raw.server);
    if (!server) {
        return bad_option("--server " + server.error().message);
    }
    options.server = std::move(*server);
    for (auto const& step : {read_macs(raw, options), read_durations(raw, options), read_action(raw, options),
                             read_peer_options(raw.peer, options), read_folders(options)}) {
        if (!step) {
            return step;
        }
    }
    return {};
}

} // namespace

command_help agent_help() {
    agent_options options;
    raw_agent_options raw;
    return {
        "agent",
        {"--server URL [OPTION]..."},
        {"Identifies this machine to the server (MAC addresses, serial number, disks), gets a job, chooses the disk by "
         "the server's rule, and deploys the image without asking: for a machine that was booted to be imaged. "
         "Progress is shown here and by 'seedbed machine list' on the server. A machine without a job waits and asks "
         "again. If the server does not answer, the agent tries again after 1, 2, 4 ... 60 seconds.",
         "The server gives each job once. An agent that is restarted continues the same job.",
         "The programs of --after-deploy get these variables: SEEDBED_DEVICE, the disk; SEEDBED_PARTITIONS, its "
         "partitions, separated by blanks; SEEDBED_ROOT_PARTITION and SEEDBED_ROOT_TYPE, the largest file system that "
         "can be a system's root, and its type (ext4, ntfs and so on); SEEDBED_EFI_PARTITION, the first FAT partition; "
         "SEEDBED_MACHINE, the machine's name; SEEDBED_IMAGE; SEEDBED_JOB; SEEDBED_SERVER, the URL. A value that is "
         "unknown is empty. /usr/share/seedbed/hooks has programs that set the host name, register the boot entry and "
         "renew keys; put links to those that you want into DIR."},
        to_option_helps(describe(options, raw)),
        {{exit_ok, "with --once: the job is done, or there is none"},
         {exit_failed, "with --once: the job failed"},
         {exit_usage, "bad command line or configuration file"},
         {exit_refused, "with --once: the job was refused; nothing was written"},
         {exit_interrupted, "interrupted by a signal; the job continues when the agent is started again"}}};
}

result<agent_options> parse_agent_options(std::vector<std::string> const& arguments) {
    agent_options options;
    raw_agent_options raw;
    auto const taken = take_arguments(arguments, describe(options, raw));
    if (!taken) {
        return tl::unexpected(taken.error());
    }
    options.help = !*taken;
    if (options.help) {
        return options;
    }
    if (auto const completed = complete(raw, options); !completed) {
        return tl::unexpected(completed.error());
    }
    return options;
}

} // namespace seedbed
