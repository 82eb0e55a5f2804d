#include "daemon/commands/deploy_options.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <tuple>
#include <utility>

#include <unistd.h>

#include <boost/program_options.hpp>

#include "config/value_formats.hpp"
#include "core/foundation/byte_size.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

/// The options as given, before they are checked.
struct raw_options {
    std::string torrent;
    std::string device;
    std::string server;
    std::string serial;
    std::string size;
    std::string profile;
    std::string check;
    std::string grow;
    std::string seed_for;
    std::string seed_until_idle;
    std::string ratio;
    std::string timeout;
    std::vector<std::string> peers;
    raw_peer_options peer;
    bool verify = false;
    bool no_verify = false;
    bool no_wipe_signatures = false;
};

po::options_description describe(deploy_options& options, raw_options& raw) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("server", po::value(&raw.server)->value_name("HOST[:PORT]"),
        "deploy the image that has this NAME on a Seedbed server (default port: 6969)");
    add("yes,y", po::bool_switch(&options.yes), "overwrite the device without asking");
    add("serial", po::value(&raw.serial)->value_name("SERIAL"), "refuse a disk with another serial number");
    add("size", po::value(&raw.size)->value_name("SIZE"), "refuse a device of another size, for example \"20 GiB\"");
    add("allow-mismatch", po::bool_switch(&options.image.allow_mismatch),
        "accept a DEVICE of another kind than the image's source: a disk with partitions for the image of a "
        "partition, or one of unknown kind; a partition for a disk's image; or another sector size");
    add("no-wipe-signatures", po::bool_switch(&raw.no_wipe_signatures),
        "keep the signatures of earlier file systems, volumes and partition tables that the image does not overwrite; "
        "by default they are erased, since a system may find them instead of the image");
    add("grow", po::value(&raw.grow)->value_name("N"),
        "for the packed image of a disk: partition N, or the last one (last), and its file system get the space that a "
        "larger DEVICE has; partitions after it move");
    add("new-ids", po::bool_switch(&options.new_ids),
        "for the packed image of a disk: give the disk and, on a GPT, its partitions new random ids; file systems keep "
        "theirs. Refused if Windows may start from the image");
    add("discard", po::bool_switch(&options.discard),
        "for a packed image: before the first write, have DEVICE discard (trim) the bytes that the image does not use; "
        "if it cannot, warn and continue");
    add("peer", po::value(&raw.peers)->value_name("ADDRESS:PORT"), "download from this machine; may be repeated");
    add("tracker", po::value(&options.image.trackers)->value_name("URL"),
        "ask this tracker for peers, in addition to those of the .torrent; may be repeated");
    describe_peer_options(description, options, raw.peer);
    add("timeout", po::value(&raw.timeout)->value_name("TIME"),
        "fail if the download takes longer than TIME (default: no limit)");
    add("verify", po::bool_switch(&raw.verify), "read everything back and compare it with the .torrent (default)");
    add("no-verify", po::bool_switch(&raw.no_verify), "do not read back and compare");
    add("seed-for", po::value(&raw.seed_for)->value_name("TIME"), "when done, seed for TIME");
    add("seed-until-idle", po::value(&raw.seed_until_idle)->value_name("TIME"),
        "when done, seed until no peer has downloaded anything for TIME");
    add("ratio", po::value(&raw.ratio)->value_name("NUMBER"),
        "when done, seed until NUMBER times the image's size has been uploaded; add a time limit in case no peers "
        "come");
    add("check", po::value(&raw.check)->value_name("HOW"),
        "find out what DEVICE already holds: resume (default) trusts the checkpoint of an interrupted run, and reads "
        "DEVICE if there is none; full reads DEVICE; none skips the check and downloads everything");
    add("state", po::value(&options.state)->value_name("DIR"),
        "keep checkpoints in DIR, written every 30 s (default: /var/lib/seedbed; $XDG_STATE_HOME/seedbed if not run as "
        "root)");
    add("receipt", po::value(&options.receipt)->value_name("FILE"),
        "write the result to FILE as JSON, also on failure; an existing FILE is replaced");
    add("profile", po::value(&raw.profile)->value_name("CLASS"),
        "treat DEVICE as hdd, sata_ssd or nvme (default: detected, see 'seedbed probe')");
    add("config", po::value(&options.config)->value_name("FILE"),
        "take profiles, memory, network and log level, but no images, from this configuration file");
    return description;
}

result<void> read_times(raw_options const& raw, deploy_options& options) {
    for (auto const& [name, text, into] : {std::tuple{"--seed-for", &raw.seed_for, &options.seeding.time},
                                           std::tuple{"--seed-until-idle", &raw.seed_until_idle, &options.seeding.idle},
                                           std::tuple{"--timeout", &raw.timeout, &options.timeout}}) {
        if (auto read = read_time(name, *text, *into); !read) {
            return read;
        }
    }
    return {};
}

result<void> read_ratio(std::string const& text, std::optional<double>& into) {
    if (text.empty()) {
        return {};
    }
    double value = 0;
    auto const* const end = text.data() + text.size();
    auto const [last, ec] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (ec != std::errc{} || last != end || !(value >= 0) || value > 1e6) {
        return bad_option("--ratio " + text + ": expected a number from 0 to 1000000");
    }
    into = value;
    return {};
}

/// Parses the options about the device.
result<void> read_device_options(raw_options const& raw, image_settings& image) {
    if (!raw.serial.empty()) {
        image.serial = raw.serial;
    }
    if (!raw.size.empty()) {
        auto const size = parse_byte_size(raw.size);
        if (!size) {
            return bad_option("--size " + size.error().message);
        }
        image.size = *size;
    }
    if (!raw.check.empty()) {
        constexpr std::array all{target_check::resume, target_check::full, target_check::none};
        auto const* const found =
            std::ranges::find(all, raw.check, [](auto check) { return std::string(to_string(check)); });
        if (found == all.end()) {
            return bad_option("--check " + raw.check + ": expected resume, full or none");
        }
        image.check = *found;
    }
    if (!raw.profile.empty()) {
        image.profile = parse_storage_class(raw.profile);
        if (!image.profile) {
            return bad_option("--profile " + raw.profile + ": expected hdd, sata_ssd or nvme");
        }
    }
    return {};
}

result<void> read_growth(std::string const& text, growth& into) {
    if (text.empty()) {
        return {};
    }
    auto const grow = parse_growth(text);
    if (!grow) {
        return bad_option("--grow " + grow.error().message);
    }
    into = *grow;
    return {};
}

result<void> check_trackers(deploy_options const& options) {
    for (auto const& url : options.image.trackers) {
        if (auto const wrong = check_tracker_url(url)) {
            return bad_option("--tracker " + wrong->message);
        }
    }
    return {};
}

result<void> complete(raw_options const& raw, deploy_options& options) {
    if (raw.torrent.empty() || raw.device.empty()) {
        return bad_option(raw.torrent.empty() ? "TORRENT and DEVICE are missing" : "DEVICE is missing");
    }
    if (raw.verify && raw.no_verify) {
        return bad_option("--verify and --no-verify are mutually exclusive");
    }
    if (options.discard && raw.no_wipe_signatures) {
        return bad_option("--discard and --no-wipe-signatures are mutually exclusive");
    }
    options.image.mode = image_mode::deploy;
    options.image.verify = !raw.no_verify;
    options.image.wipe_signatures = !raw.no_wipe_signatures;
    if (!options.state.empty()) {
        std::error_code ignored; // the same error is reported below
        options.state = std::filesystem::absolute(options.state, ignored).string();
    }
    auto source = parse_torrent_source(raw.torrent, raw.server);
    if (!source) {
        return tl::unexpected(source.error());
    }
    options.source = std::move(*source);
    options.image.torrent = options.source.path;
    std::error_code ec;
    if (auto rule = parse_disk_rule(raw.device); rule && rule->path.empty()) {
        options.rule = std::move(*rule);
    } else {
        options.image.device = std::filesystem::absolute(raw.device, ec).string();
    }
    if (ec) {
        return bad_option("cannot determine the current folder: " + ec.message());
    }
    for (auto const& step : {read_times(raw, options), read_ratio(raw.ratio, options.seeding.ratio),
                             read_device_options(raw, options.image), read_growth(raw.grow, options.grow),
                             read_endpoints("--peer", raw.peers, options.image.peers),
                             read_peer_options(raw.peer, options), check_trackers(options)}) {
        if (!step) {
            return step;
        }
    }
    return {};
}

} // namespace

command_help deploy_help() {
    deploy_options options;
    raw_options raw;
    return {
        "deploy",
        {"TORRENT DEVICE [OPTION]...", "NAME --server HOST[:PORT] DEVICE [OPTION]...", "- DEVICE [OPTION]..."},
        {"Writes one image to DEVICE, then exits; needs neither a configuration file nor a service. Shows what will be "
         "overwritten and asks for confirmation; without a terminal, --yes is required. Peers are found by multicast, "
         "through the trackers of the .torrent, and with --peer and --tracker. DEVICE is read first, and only pieces "
         "that differ are downloaded; after an interruption, the same command resumes. "
         "If a deployment is interrupted after its first write, even by a power cut, DEVICE holds either the whole "
         "image or nothing that a system recognises: the first write erases the old signatures, and the new ones are "
         "written when everything else is durable. For a packed disk, that is the partition table; for any other "
         "image, all of its bytes in the first MiB of DEVICE and in its own last 768 KiB, which are downloaded again "
         "after an interruption. If DEVICE already holds the whole image, nothing is written.",
         "TORRENT is a file, or the URL of one: http://SERVER:6969/images/NAME is that of the image NAME on a Seedbed "
         "server. With --server, the NAME suffices; with -, the .torrent is read from standard input. If the .torrent "
         "names no tracker, the server adds its own, which also counts the machines that are done. Redirects and https "
         "are not supported.",
         "An image is done when it is downloaded, written, flushed, read back and compared. The command then exits at "
         "once, so that a script can continue and the machine can boot. If several machines are imaged together, let "
         "each of them seed for a while (--seed-until-idle 15s). The first limit that is reached ends seeding.",
         "DEVICE is a path, or a rule that chooses one of the disks: auto, the only disk that is internal, large "
         "enough and not in use; largest; nvme; ssd; hdd; a range of sizes, such as 200G..600G; serial=TEXT; wwn=TEXT; "
         "model=TEXT, a part of the model. Terms separated by commas must all hold. If several disks match, all are "
         "listed and none is written. A file that is named like a rule needs a path: ./auto. A TIME is a whole number "
         "and a unit: 90s, 10min or 2h."},
        to_option_helps(describe(options, raw)),
        {{exit_ok, "done: every byte is on the device, and verified unless --no-verify was given"},
         {exit_failed, "cannot listen on an address, cannot write the receipt, or an internal failure"},
         {exit_usage, "bad command line or configuration file; nothing was written"},
         {exit_refused,
          "DEVICE was refused (missing, mounted, in use, too small, another kind, serial number or size), not exactly "
          "one disk matches the rule, or a program that the image of a disk needs is missing; nothing was written"},
         {exit_bad_torrent,
          "the .torrent cannot be read or was refused, or the server cannot be reached or has no such "
          "image; nothing was written"},
         {exit_timed_out, "the download did not finish within --timeout; the same command resumes"},
         {exit_device_failed, "DEVICE failed: a read, write or flush error"},
         {exit_not_verified, "not verified: DEVICE could not be read back or differs"},
         {exit_interrupted, "interrupted by a signal; written data is flushed, and the same command resumes"},
         {exit_not_confirmed, "not confirmed: the answer was not yes, or there was no terminal; nothing was written"},
         {exit_damaged_source,
          "a source sends damaged pieces again and again; the good ones are kept, and the same command resumes"}}};
}

result<deploy_options> parse_deploy_options(std::vector<std::string> const& arguments) {
    deploy_options options;
    raw_options raw;
    auto all = describe(options, raw);
    auto add = all.add_options();
    add("torrent-file", po::value(&raw.torrent));
    add("device", po::value(&raw.device));
    auto const taken =
        take_arguments(arguments, all, po::positional_options_description().add("torrent-file", 1).add("device", 1));
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
