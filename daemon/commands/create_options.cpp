#include "daemon/commands/create_options.hpp"

#include <bit>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <boost/program_options.hpp>

#include "config/value_formats.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/partclone_info.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

/// The minimum is a block of 16 KiB. One bad byte costs downloading a whole piece again, hence a limit of 64 MiB.
constexpr std::int64_t least_piece = 16LL << 10;
constexpr std::int64_t largest_piece = 64LL << 20;
/// Of a packed image; shorter pieces leave more padding.
constexpr std::int64_t least_packed_piece = 1LL << 20;
constexpr int highest_level = 19;
constexpr int most_jobs = 256;

po::options_description describe(create_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("output,o", po::value(&options.output)->value_name("FILE"),
        "write the .torrent to FILE; with --pack, the packed image, with the .torrent beside it");
    add("force", po::bool_switch(&options.force), "replace an existing FILE");
    add("name", po::value(&options.torrent.name)->value_name("NAME"),
        "name the image after its partition, such as sda1 or vg/root, in printable ASCII without backslashes "
        "(default: the last component of SOURCE)");
    add("tracker", po::value(&options.torrent.trackers)->value_name("URL"),
        "add this announce URL (http, https or udp); may be repeated, clients try them in order");
    add("web-seed", po::value(&options.torrent.web_seeds)->value_name("URL"),
        "with --pack: add this URL (http or https) of the packed file on a web server that serves ranges, such as "
        "nginx; clients download from it, too (BEP 19); may be repeated");
    add("private", po::bool_switch(&options.torrent.is_private),
        "have clients get peers from trackers only (BEP 27), without local discovery");
    add("pack", po::bool_switch(&options.pack),
        "make a packed image, FILE, whose name ends in .sbi: the used blocks of SOURCE, compressed; a .torrent with "
        "the same name is written beside it");
    add("level", po::value(&options.level)->value_name("N"),
        "with --pack: zstd's level, 1 (default, fast) to 19 (small)");
    add("jobs", po::value(&options.jobs)->value_name("N"),
        "with --pack: number of threads that compress (default: one per processor)");
    add("capture", po::bool_switch(&options.capture),
        "have partclone find the used blocks of the file system on SOURCE");
    add("raw-if-needed", po::bool_switch(&options.raw_if_needed),
        "with --capture or --pack: if partclone cannot capture SOURCE, take all its bytes, with a warning");
    add("allow-hibernated", po::bool_switch(&options.allow_hibernated),
        "with --capture or --pack: capture an NTFS file system even if Windows is hibernated on it, or was shut down "
        "with fast startup");
    add("raw", po::bool_switch(&options.raw),
        "take the bytes of SOURCE even if it is a compressed file or a disk image of another format; with --pack, all "
        "of them, used or not");
    add("partclone", po::value(&options.partclone)->value_name("FILE"),
        "instead of SOURCE, read this torrent.info that partclone wrote (partclone.FS -c -t)");
    add("bt-dir", po::value(&options.bt_dir)->value_name("DIR"),
        "instead of SOURCE, read this folder that partclone wrote (partclone.FS -c -T), and check the data in it "
        "against its torrent.info");
    add("from-partclone", po::value(&options.from_partclone)->multitoken()->value_name("FILE..."),
        "with --pack, instead of SOURCE: read these files, in this order, as one image that partclone wrote "
        "(partclone.FS -c), such as Clonezilla's sda1.ext4-ptcl-img.zst.aa and .ab; they may be packed");
    add("piece-size",
        po::value<std::string>()->value_name("SIZE")->notifier([&](auto const& size) { options.piece_size = size; }),
        "set the piece size of a raw image: a power of two from 16 KiB to 64 MiB (default: 16 MiB); of a packed image: "
        "from 1 MiB (default: 4 MiB)");
    add("no-sparse", po::bool_switch(&options.no_sparse), "include holes of SOURCE in a raw image, as zeros");
    add("allow-mounted", po::bool_switch(&options.allow_mounted),
        "read SOURCE even if it is mounted read-write; changes made meanwhile make the image unusable");
    add("serve", po::bool_switch(&options.serve),
        "when done, add the image to the daemon's configuration and have it served, as 'seedbed image add' does; its "
        "name is that of FILE, without the suffix");
    add("config", po::value(&options.config)->value_name("FILE"),
        (std::string("with --serve: add it to this configuration file of the daemon (default: ") + default_config + ")")
            .c_str());
    add("json", po::bool_switch(&options.json), "print the result as JSON (format 1, sizes in bytes)");
    return description;
}

/// Refuses options that cannot be combined.
result<void> check_mode(create_options const& options) {
    bool const from_partclone = !options.partclone.empty() || !options.bt_dir.empty();
    bool const from_image = !options.from_partclone.empty();
    if (options.source.empty() && !from_partclone && !from_image) {
        return bad_option("SOURCE or --partclone is missing");
    }
    if (!options.source.empty() && (from_partclone || from_image)) {
        return bad_option("SOURCE cannot be combined with --partclone, --bt-dir or --from-partclone");
    }
    if (from_image && (from_partclone || !options.pack)) {
        return bad_option(from_partclone ? "--from-partclone cannot be combined with --partclone or --bt-dir"
                                         : "--from-partclone needs --pack");
    }
    if (from_partclone && (options.capture || options.raw || options.no_sparse || options.allow_mounted)) {
        return bad_option("--capture, --raw, --no-sparse and --allow-mounted need a SOURCE");
    }
    if (options.capture && options.raw) {
        return bad_option("--capture and --raw are mutually exclusive");
    }
    if ((options.raw_if_needed || options.allow_hibernated) && !options.capture && !options.pack) {
        return bad_option("--raw-if-needed and --allow-hibernated need --capture or --pack");
    }
    if (options.piece_size && (from_partclone || (options.capture && !options.pack))) {
        return bad_option("--piece-size does not apply to partclone's output, whose pieces are 16 MiB");
    }
    if (options.output.empty()) {
        return bad_option("--output is missing");
    }
    if (!options.config.empty() && !options.serve) {
        return bad_option("--config needs --serve");
    }
    if (options.serve && options.source.empty() && !options.pack) {
        return bad_option("--serve needs a SOURCE or --pack: partclone's output names no device");
    }
    return {};
}

/// Refuses options that --pack needs or excludes.
result<void> check_packed(create_options const& options) {
    if (!options.pack) {
        auto const unused = options.level == create_options{}.level && options.jobs == create_options{}.jobs &&
                            options.torrent.web_seeds.empty();
        return unused ? result<void>() : bad_option("--level, --jobs and --web-seed need --pack");
    }
    if (options.source.empty() && options.from_partclone.empty()) {
        return bad_option("--pack needs a SOURCE or --from-partclone");
    }
    if (options.no_sparse) {
        return bad_option("--no-sparse applies to raw images only; a packed image holds holes as zeros");
    }
    if (options.raw && options.raw_if_needed) {
        return bad_option("--raw and --raw-if-needed are mutually exclusive");
    }
    if (!options.torrent.name.empty()) {
        return bad_option("--name applies to raw images only; a packed image is named after FILE");
    }
    if (!std::string_view(options.output).ends_with(packed_suffix)) {
        return bad_option("--output " + options.output + ": the name of a packed image must end in " +
                          std::string(packed_suffix));
    }
    if (options.level < 1 || options.level > highest_level) {
        return bad_option("--level " + std::to_string(options.level) + ": expected 1 to " +
                          std::to_string(highest_level));
    }
    if (options.jobs < 0 || options.jobs > most_jobs) {
        return bad_option("--jobs " + std::to_string(options.jobs) + ": expected 1 to " + std::to_string(most_jobs));
    }
    return {};
}

result<std::int32_t> piece_length_of(std::string const& text, std::int64_t least) {
    auto const size = parse_byte_size(text);
    if (!size) {
        return bad_option("--piece-size " + size.error().message);
    }
    if (*size < least || *size > largest_piece || !std::has_single_bit(static_cast<std::uint64_t>(*size))) {
        return bad_option("--piece-size " + text + ": expected a power of two from " + format_byte_size(least) +
                          " to 64 MiB");
    }
    return static_cast<std::int32_t>(*size);
}

/// Names the image after SOURCE if --name was not given.
result<void> complete_name(create_options& options) {
    auto const given = !options.torrent.name.empty();
    if (!given) {
        auto const& named_after = options.pack ? options.output : options.source;
        options.torrent.name = std::filesystem::path(named_after).filename().string();
    }
    if (options.torrent.name.empty()) {
        return bad_option("--name is missing");
    }
    auto const checked = check_image_name(options.torrent.name);
    if (checked) {
        return {};
    }
    if (given) {
        return bad_option("--name: " + checked.error().message);
    }
    if (options.pack) {
        return bad_option("--output: " + checked.error().message);
    }
    return bad_option("cannot name the image after SOURCE: " + checked.error().message +
                      "; pass --name with a name in printable ASCII without backslashes");
}

/// Fills in the values that follow from others; fails if an option is wrong.
result<void> complete(create_options& options) {
    if (auto checked = check_mode(options); !checked) {
        return checked;
    }
    if (auto checked = check_packed(options); !checked) {
        return checked;
    }
    if (options.partclone.empty() && !options.bt_dir.empty()) {
        options.partclone = (std::filesystem::path(options.bt_dir) / "torrent.info").string();
    }
    if (auto named = complete_name(options); !named) {
        return named;
    }
    for (auto const& url : options.torrent.trackers) {
        if (auto const wrong = check_tracker_url(url)) {
            return bad_option("--tracker " + wrong->message);
        }
    }
    for (auto const& url : options.torrent.web_seeds) {
        if (!url.starts_with("http://") && !url.starts_with("https://")) {
            return bad_option("--web-seed '" + url +
                              "' is not on a web server: expected a URL with http:// or https://");
        }
        if (auto const wrong = check_tracker_url(url)) { // the same rules for all other parts
            return bad_option("--web-seed " + wrong->message);
        }
    }
    auto const piece_length = piece_length_of(options.piece_size.value_or(options.pack ? "4 MiB" : "16 MiB"),
                                              options.pack ? least_packed_piece : least_piece);
    if (!piece_length) {
        return tl::unexpected(piece_length.error());
    }
    options.torrent.piece_length = *piece_length;
    return {};
}

} // namespace

command_help create_help() {
    create_options options;
    return {
        "create",
        {"SOURCE -o FILE [OPTION]...", "SOURCE --capture -o FILE [OPTION]...", "SOURCE --pack -o FILE.sbi [OPTION]...",
         "--from-partclone FILE... --pack -o FILE.sbi [OPTION]...", "--partclone FILE --name NAME -o FILE [OPTION]...",
         "--bt-dir DIR --name NAME -o FILE [OPTION]..."},
        {"Makes a .torrent of a block device, of an image file, or of a file system captured by partclone, with one "
         "file per extent, named by its offset on the device. The data stays in place and is seeded from there. Prints "
         "the image's name, size and info-hash, and the table that has the daemon serve it; --serve adds that table.",
         "A raw image holds all of a block device. Holes of a sparse file are left out, in units of 1 MiB: a "
         "deployment does not write there, so the target keeps its old data in these places. Use --no-sparse if they "
         "must become zeros. A captured image leaves out copies of metadata that partclone does not count as used, "
         "such as the second superblocks of btrfs and the backup boot sector of NTFS: repair tools lack them on the "
         "target. A raw image holds them.",
         "A packed image is a compressed file, which any BitTorrent client can help to seed; SOURCE is no longer "
         "needed afterwards. It holds the used blocks of the file system and the copies of metadata that a captured "
         "image leaves out. The packed image of a disk holds the used blocks of all partitions; its .torrent holds the "
         "partition table. create prints what it takes from each partition, and why. seedbed-image(5) describes the "
         "format. SOURCE may also be a folder that Clonezilla's savedisk made of one disk: its partitions, partition "
         "table and boot code become the image of that disk. Files packed with gzip, zstd, xz, bzip2 or lz4 are "
         "unpacked by these programs. In such a folder, create does not check whether Windows was hibernated. "
         "seedbed-partclone(7) describes the files.",
         "Neither SOURCE nor a loop device or volume on it may be mounted read-write."},
        to_option_helps(describe(options)),
        {{exit_ok, "done"},
         {exit_failed, "SOURCE could not be read or changed meanwhile, partclone failed, or FILE could not be "
                       "written"},
         {exit_usage, "bad command line"},
         {exit_refused, "SOURCE or partclone's output was refused"}},
        {"A run that is interrupted by a signal leaves no files behind."}};
}

result<create_options> parse_create_options(std::vector<std::string> const& arguments) {
    create_options options;
    auto all = describe(options);
    all.add_options()("source", po::value(&options.source));
    auto const taken = take_arguments(arguments, all, po::positional_options_description().add("source", 1));
    if (!taken) {
        return tl::unexpected(taken.error());
    }
    options.help = !*taken;
    if (options.help) {
        return options;
    }
    if (auto const completed = complete(options); !completed) {
        return tl::unexpected(completed.error());
    }
    return options;
}

} // namespace seedbed
