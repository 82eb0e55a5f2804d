#include "daemon/commands/create.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <sstream>
#include <string_view>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "core/image/partclone_info.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

struct create_options {
    std::string partclone;
    std::string output;
    torrent_details torrent;
    bool force = false;
    bool json = false;
};

po::options_description describe(create_options& options) {
    po::options_description description("Options");
    auto add = description.add_options();
    add("help,h", "show this help");
    add("partclone", po::value(&options.partclone)->value_name("FILE"),
        "the torrent.info that partclone wrote (partclone.FS -c -t)");
    add("name", po::value(&options.torrent.name)->value_name("NAME"),
        "name of the image: its partition, such as sda1 or vg/root");
    add("tracker", po::value(&options.torrent.trackers)->value_name("URL"),
        "announce URL (http, https or udp); may be given several times, then they are tried in this order");
    add("output,o", po::value(&options.output)->value_name("FILE"), "the .torrent to write");
    add("force", po::bool_switch(&options.force), "replace FILE where it exists");
    add("json", po::bool_switch(&options.json), "print the result as JSON");
    return description;
}

void print_help(po::options_description const& description) {
    std::cout
        << "Usage: seedbed create --partclone FILE --name NAME [--tracker URL]... -o FILE\n\n"
           "Makes a .torrent of a file system that partclone captured: one file an extent, named by its offset on\n"
           "the device, in pieces of 16 MiB. Prints its name, size and info-hash.\n\n"
        << description
        << "\nExit status: 0 done, 1 the .torrent could not be written, 2 bad command line, 3 torrent.info cannot be\n"
           "read or is refused.\n";
}

bool is_announce_url(std::string_view url) {
    constexpr std::string_view schemes[] = {"http://", "https://", "udp://"};
    return std::any_of(std::begin(schemes), std::end(schemes),
                       [&](auto scheme) { return url.starts_with(scheme) && url.size() > scheme.size(); }) &&
           std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

/// What is wrong with the options, if anything is.
result<void> check(create_options const& options) {
    if (options.partclone.empty()) {
        return tl::unexpected(error{"--partclone is missing"});
    }
    if (options.torrent.name.empty()) {
        return tl::unexpected(error{"--name is missing"});
    }
    if (options.output.empty()) {
        return tl::unexpected(error{"--output is missing"});
    }
    for (auto const& url : options.torrent.trackers) {
        if (!is_announce_url(url)) {
            return tl::unexpected(error{"--tracker " + url + ": not an http, https or udp URL"});
        }
    }
    return check_image_name(options.torrent.name);
}

int fail(exit_code code, std::string const& message) {
    std::cerr << "seedbed create: " << message << '\n';
    return code;
}

std::string summary(create_options const& options, partclone_info const& image, torrent_bytes const& made) {
    auto const extents = image.extents.extents().size();
    auto const bytes = image.extents.total_size();
    auto const pieces = image.hashes.size();
    if (options.json) {
        return nlohmann::ordered_json{{"name", options.torrent.name},
                                      {"torrent", options.output},
                                      {"extents", extents},
                                      {"bytes", bytes},
                                      {"pieces", pieces},
                                      {"info_hash", made.info_hash}}
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    std::ostringstream text;
    text << options.torrent.name << ": " << extents << (extents == 1 ? " extent, " : " extents, ") << bytes
         << " bytes, " << pieces << (pieces == 1 ? " piece" : " pieces") << ", info-hash " << made.info_hash;
    return text.str();
}

int create(create_options const& options) {
    auto const image = load_partclone_info(options.partclone);
    if (!image) {
        return fail(exit_refused, image.error().message);
    }
    auto const made = make_torrent(image->extents, image->hashes, options.torrent);
    if (!made) {
        return fail(exit_refused, options.partclone + ": " + made.error().message);
    }
    if (auto const saved = save_torrent(options.output, made->bytes, options.force); !saved) {
        return fail(exit_failed, saved.error().message);
    }
    std::cout << summary(options, *image, *made) << std::endl;
    return std::cout ? exit_ok : fail(exit_failed, "standard output: cannot be written");
}

} // namespace

int create_command(std::vector<std::string> const& arguments) {
    create_options options;
    options.torrent.piece_length = partclone_piece_length;
    options.torrent.creator = "Seedbed " SEEDBED_VERSION;
    auto const description = describe(options);
    try {
        po::variables_map values;
        auto const style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
        // An empty list of positional options refuses every argument that belongs to no option.
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
        return fail(exit_usage, std::string(e.what()) + "; see 'seedbed create --help'");
    }
    if (auto const checked = check(options); !checked) {
        return fail(exit_usage, checked.error().message + "; see 'seedbed create --help'");
    }
    return create(options);
}

} // namespace seedbed
