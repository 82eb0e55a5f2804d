#include "daemon/commands/create_options.hpp"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <iterator>
#include <string_view>

#include <boost/program_options.hpp>

#include "core/foundation/byte_size.hpp"
#include "core/image/partclone_info.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/create.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

/// A block is 16 KiB; a piece of more than 64 MiB has to be fetched again as a whole where a byte of it is wrong.
constexpr std::int64_t least_piece = 16LL << 10;
constexpr std::int64_t largest_piece = 64LL << 20;

po::options_description describe(create_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("output,o", po::value(&options.output)->value_name("FILE"), "the .torrent to write");
    add("force", po::bool_switch(&options.force), "replace FILE where it exists");
    add("name", po::value(&options.torrent.name)->value_name("NAME"),
        "name of the image: its partition, such as sda1 or vg/root; SOURCE's last component where it is left out");
    add("tracker", po::value(&options.torrent.trackers)->value_name("URL"),
        "announce URL (http, https or udp); may be given several times, then they are tried in this order");
    add("private", po::bool_switch(&options.torrent.is_private),
        "peers from trackers only (BEP 27); clients then use no local discovery");
    add("capture", po::bool_switch(&options.capture),
        "SOURCE holds a file system: let partclone find its used blocks; where it cannot, say so and take a raw image");
    add("partclone", po::value(&options.partclone)->value_name("FILE"),
        "in place of SOURCE: the torrent.info that partclone wrote (partclone.FS -c -t)");
    add("bt-dir", po::value(&options.bt_dir)->value_name("DIR"),
        "in place of SOURCE: the folder that partclone wrote (partclone.FS -c -T), with torrent.info and the data, "
        "which is checked against it");
    add("piece-size",
        po::value<std::string>()->value_name("SIZE")->notifier([&](auto const& size) { options.piece_size = size; }),
        "of a raw image: a power of two from 16 KiB to 64 MiB; 16 MiB by default");
    add("no-sparse", po::bool_switch(&options.no_sparse), "of a raw image: holes of SOURCE are part of it, as zeros");
    add("allow-mounted", po::bool_switch(&options.allow_mounted),
        "read SOURCE although it is mounted read-write; what changes meanwhile makes an image that nobody can use");
    add("json", po::bool_switch(&options.json), "print the result as JSON");
    return description;
}

bool is_announce_url(std::string_view url) {
    constexpr std::string_view schemes[] = {"http://", "https://", "udp://"};
    return std::any_of(std::begin(schemes), std::end(schemes),
                       [&](auto scheme) { return url.starts_with(scheme) && url.size() > scheme.size(); }) &&
           std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

tl::unexpected<error> refuse(std::string reason) {
    return tl::unexpected(error{std::move(reason)});
}

/// Which options go together.
result<void> check_mode(create_options const& options) {
    bool const from_partclone = !options.partclone.empty() || !options.bt_dir.empty();
    if (options.source.empty() && !from_partclone) {
        return refuse("SOURCE or --partclone is missing");
    }
    if (!options.source.empty() && from_partclone) {
        return refuse("a positional argument (SOURCE) does not go with --partclone and --bt-dir");
    }
    if (from_partclone && (options.capture || options.no_sparse || options.allow_mounted)) {
        return refuse("--capture, --no-sparse and --allow-mounted are for a SOURCE");
    }
    if (options.piece_size && (from_partclone || options.capture)) {
        return refuse("--piece-size is for a raw image: partclone's pieces have 16 MiB");
    }
    if (options.output.empty()) {
        return refuse("--output is missing");
    }
    return {};
}

result<std::int32_t> piece_length_of(std::string const& text) {
    auto const size = parse_byte_size(text);
    if (!size) {
        return refuse("--piece-size " + size.error().message);
    }
    if (*size < least_piece || *size > largest_piece || !std::has_single_bit(static_cast<std::uint64_t>(*size))) {
        return refuse("--piece-size " + text + ": not a power of two from 16 KiB to 64 MiB");
    }
    return static_cast<std::int32_t>(*size);
}

/// What follows from the rest, and what is wrong with the options, if anything is.
result<void> complete(create_options& options) {
    if (auto const checked = check_mode(options); !checked) {
        return checked;
    }
    if (options.partclone.empty() && !options.bt_dir.empty()) {
        options.partclone = (std::filesystem::path(options.bt_dir) / "torrent.info").string();
    }
    if (options.torrent.name.empty()) {
        options.torrent.name = std::filesystem::path(options.source).filename().string();
    }
    if (options.torrent.name.empty()) {
        return refuse("--name is missing");
    }
    for (auto const& url : options.torrent.trackers) {
        if (!is_announce_url(url)) {
            return refuse("--tracker " + url + ": not an http, https or udp URL");
        }
    }
    auto const piece_length = piece_length_of(options.piece_size.value_or("16 MiB"));
    if (!piece_length) {
        return tl::unexpected(piece_length.error());
    }
    options.torrent.piece_length = *piece_length;
    return check_image_name(options.torrent.name);
}

} // namespace

command_help create_help() {
    create_options options;
    return {
        "create",
        {"SOURCE -o FILE [OPTION]...", "SOURCE --capture -o FILE [OPTION]...",
         "--partclone FILE --name NAME -o FILE [OPTION]...", "--bt-dir DIR --name NAME -o FILE [OPTION]..."},
        {"Makes a .torrent of a block device, of an image file, or of a file system that partclone captured: one file "
         "an extent, named by its offset on the device. The data stays where it is and is served from there. Prints "
         "name, size, info-hash.",
         "A raw image is all of a block device. Of a file the holes are left out, in units of 1 MiB: a deployment "
         "writes nothing there, so that the target keeps what it had in these places. Where that matters, say "
         "--no-sparse.",
         "SOURCE must not be mounted read-write."},
        to_option_helps(describe(options)),
        {{exit_ok, "done"},
         {exit_failed, "SOURCE could not be read or has changed meanwhile, partclone failed, or FILE could not be "
                       "written"},
         {exit_usage, "bad command line"},
         {exit_refused, "SOURCE or what partclone wrote is refused"}},
        {"After a signal nothing is left behind."}};
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
