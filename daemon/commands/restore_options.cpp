#include "daemon/commands/restore_options.hpp"

#include <filesystem>
#include <system_error>

#include <boost/program_options.hpp>

#include "core/device/device_stack.hpp"
#include "core/foundation/byte_size.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/create_packed.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

/// The options as given, before they are checked.
struct given_options {
    std::string serial;
    std::string size;
    std::string profile;
    std::string grow;
    bool verify = false;
    bool no_verify = false;
    bool no_wipe_signatures = false;
};

po::options_description describe(restore_command_options& options, given_options& raw) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("torrent", po::value(&options.torrent)->value_name("FILE"),
        "the .torrent of the image (default: the one beside X.sbi, X.torrent)");
    add("yes,y", po::bool_switch(&options.yes), "overwrite the device without asking");
    add("serial", po::value(&raw.serial)->value_name("SERIAL"), "refuse a disk with another serial number");
    add("size", po::value(&raw.size)->value_name("SIZE"), "refuse a device of another size, for example \"20 GiB\"");
    add("allow-mismatch", po::bool_switch(&options.allow_mismatch),
        "accept a DEVICE of another kind than the image's source: a disk with partitions for a partition's image, a "
        "partition for a disk's, or another sector size");
    add("no-wipe-signatures", po::bool_switch(&raw.no_wipe_signatures),
        "keep the signatures of earlier file systems, volumes and partition tables that the image does not overwrite; "
        "by default they are erased, since a system may find them instead of the image");
    add("grow", po::value(&raw.grow)->value_name("N"),
        "for the image of a disk: partition N, or the last one (last), and its file system get the space that a larger "
        "DEVICE has; partitions after it move");
    add("new-ids", po::bool_switch(&options.new_ids),
        "for the image of a disk: give the disk and, on a GPT, its partitions new random ids, so that source and copy "
        "can be in one machine; file systems keep theirs. Refused if Windows may start from the image");
    add("discard", po::bool_switch(&options.discard),
        "before the first write, have DEVICE discard (trim) the bytes that the image does not use; if it cannot, "
        "warn and continue");
    add("verify", po::bool_switch(&raw.verify), "read everything back and compare it with the image (default)");
    add("no-verify", po::bool_switch(&raw.no_verify), "do not read back and compare");
    add("receipt", po::value(&options.receipt)->value_name("FILE"),
        "write the result to FILE as JSON, as 'seedbed deploy' does, also on failure");
    add("profile", po::value(&raw.profile)->value_name("CLASS"),
        "treat DEVICE as hdd, sata_ssd or nvme (default: detected, see 'seedbed probe')");
    return description;
}

result<void> complete(given_options const& raw, restore_command_options& options) {
    if (options.packed.empty() || options.device.empty()) {
        return bad_option(options.packed.empty() ? "X.sbi and DEVICE are missing" : "DEVICE is missing");
    }
    if (raw.verify && raw.no_verify) {
        return bad_option("--verify and --no-verify are mutually exclusive");
    }
    if (options.discard && raw.no_wipe_signatures) {
        return bad_option("--discard and --no-wipe-signatures are mutually exclusive");
    }
    if (paths_overlap(options.packed, options.device)) {
        return bad_option("DEVICE is the packed image itself");
    }
    if (options.torrent.empty()) {
        options.torrent = torrent_beside(options.packed);
    }
    if (!raw.serial.empty()) {
        options.serial = raw.serial;
    }
    if (!raw.size.empty()) {
        auto const size = parse_byte_size(raw.size);
        if (!size) {
            return bad_option("--size " + size.error().message);
        }
        options.size = *size;
    }
    if (!raw.profile.empty()) {
        options.profile = parse_storage_class(raw.profile);
        if (!options.profile) {
            return bad_option("--profile " + raw.profile + ": expected hdd, sata_ssd or nvme");
        }
    }
    if (!raw.grow.empty()) {
        auto const grow = parse_growth(raw.grow);
        if (!grow) {
            return bad_option("--grow " + grow.error().message);
        }
        options.grow = *grow;
    }
    options.verify = !raw.no_verify;
    options.wipe_signatures = !raw.no_wipe_signatures;
    return {};
}

} // namespace

command_help restore_help() {
    restore_command_options options;
    given_options raw;
    return {
        "restore",
        {"X.sbi DEVICE [OPTION]..."},
        {"Writes a packed image to DEVICE without a network. Shows what will be overwritten and asks for "
         "confirmation; without a terminal, --yes is required. Each piece of X.sbi is compared with the .torrent "
         "before any of it is written, and everything is flushed, read back and compared at the end. The beginning "
         "of the image, or a disk's partition table, is written last, so that an interrupted restoration does not "
         "look complete."},
        to_option_helps(describe(options, raw)),
        {{exit_ok, "done: every byte is on the device, and verified unless --no-verify was given"},
         {exit_failed, "a program that DEVICE needs has failed, the receipt cannot be written, or an internal failure"},
         {exit_usage, "bad command line; nothing was written"},
         {exit_refused,
          "DEVICE was refused (missing, mounted, in use, too small, another kind, serial number or size), or X.sbi "
          "was; nothing was written"},
         {exit_bad_torrent, "the .torrent cannot be read or was refused; nothing was written"},
         {exit_device_failed, "DEVICE failed: a read, write or flush error"},
         {exit_not_verified, "not verified: DEVICE could not be read back or differs"},
         {exit_interrupted, "interrupted by a signal; DEVICE is incomplete, and the same command starts again"},
         {exit_not_confirmed, "not confirmed: the answer was not yes, or there was no terminal; nothing was written"},
         {exit_damaged_source, "X.sbi is damaged or cannot be read; DEVICE is incomplete"}}};
}

result<restore_command_options> parse_restore_options(std::vector<std::string> const& arguments) {
    restore_command_options options;
    given_options raw;
    auto all = describe(options, raw);
    auto add = all.add_options();
    add("packed-file", po::value(&options.packed));
    add("device", po::value(&options.device));
    auto const taken =
        take_arguments(arguments, all, po::positional_options_description().add("packed-file", 1).add("device", 1));
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
