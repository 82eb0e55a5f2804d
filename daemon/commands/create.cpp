#include "daemon/commands/create.hpp"

#include <chrono>
#include <exception>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <string>
#include <system_error>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "config/image_table_text.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/save_file.hpp"
#include "core/image/capture.hpp"
#include "core/image/image_origin.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/create_image.hpp"
#include "daemon/commands/create_options.hpp"
#include "daemon/commands/create_packed.hpp"
#include "daemon/commands/image_config.hpp"
#include "daemon/commands/output_file.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/termination.hpp"
#include "daemon/terminal/progress.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

/// The "format" of the JSON document: incremented when a key changes its meaning or is removed.
constexpr int create_format = 1;

std::string summary(create_options const& options, captured_image const& image, torrent_bytes const& made,
                    double seconds) {
    auto const extents = image.extents.extents().size();
    auto const bytes = image.extents.total_size();
    auto const pieces = image.hashes.size();
    if (options.json) {
        return nlohmann::ordered_json{{"format", create_format}, {"name", options.torrent.name},
                                      {"path", options.output},  {"info_hash", made.info_hash.to_hex()},
                                      {"bytes", bytes},          {"extents", extents},
                                      {"pieces", pieces},        {"piece_size", options.torrent.piece_length},
                                      {"seconds", seconds}}
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    std::ostringstream text;
    text << options.torrent.name << ": " << format_count(extents, "extent") << ", " << bytes << " bytes, "
         << format_count(pieces, "piece") << ", info-hash " << made.info_hash.to_hex();
    return text.str();
}

std::string packed_summary(create_options const& options, saved_packed_image const& image, double seconds) {
    auto const ratio = static_cast<double>(image.bytes) / static_cast<double>(image.packed);
    if (options.json) {
        return nlohmann::ordered_json{{"format", create_format},
                                      {"name", options.torrent.name},
                                      {"path", image.torrent},
                                      {"packed_path", options.output},
                                      {"info_hash", image.info_hash.to_hex()},
                                      {"bytes", image.bytes},
                                      {"packed_bytes", image.packed},
                                      {"extents", image.extents},
                                      {"pieces", image.pieces},
                                      {"piece_size", options.torrent.piece_length},
                                      {"seconds", seconds}}
            .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    return fmt::format("{}: {}, {} bytes packed into {} ({:.2f}:1), {}, info-hash {}", options.torrent.name,
                       format_count(static_cast<std::size_t>(image.extents), "extent"), image.bytes, image.packed,
                       ratio, format_count(static_cast<std::size_t>(image.pieces), "piece"), image.info_hash.to_hex());
}

[[noreturn]] void end_interrupted(termination_flag const& termination) {
    std::cerr << "seedbed create: interrupted; nothing was written" << std::endl;
    termination.end_process();
}

/// The image as the daemon would serve it.
image_to_add image_of(create_options const& options, std::string const& torrent) {
    auto const full = [](std::string const& path) {
        std::error_code ignored; // the file was opened by this name
        return std::filesystem::absolute(path, ignored).lexically_normal().string();
    };
    auto const& device = options.pack ? options.output : options.source;
    return {suggested_name(options.output), full(torrent), stable_device_name(full(device))};
}

/// Refuses a name that cannot be added, before the image is made.
int check_serve(create_options const& options) {
    auto const possible =
        options.serve ? check_new_name(locate_config(options.config), suggested_name(options.output)) : image_change{};
    for (auto const& line : possible.lines) {
        fail("create", possible.code, "--serve: " + line);
    }
    return possible.code;
}

/// Ends a successful run: serves the image, or prints the table that would.
int end_created(create_options const& options, std::string const& torrent) {
    if (options.serve) {
        auto const change = add_image(locate_config(options.config), image_of(options, torrent));
        for (auto const& line : change.lines) {
            if (change.code != exit_ok) {
                fail("create", change.code, "the image is complete, but not served: " + line);
            } else if (!options.json) {
                std::cout << line << '\n';
            }
        }
        return end_output("create", change.code);
    }
    auto const has_device = options.pack || !options.source.empty();
    if (!options.json && has_device) {
        auto const image = image_of(options, torrent);
        std::cout << "\n# To serve it from this machine, write this to /etc/seedbed/images.d/" << image.name
                  << ".toml, or run 'seedbed image add'.\n"
                  << image_table_text(image.name, image.torrent, image.device);
    }
    return end_output("create", exit_ok);
}

int create_packed(create_options const& options) {
    auto const began = std::chrono::steady_clock::now();
    for (auto const& output : {options.output, torrent_beside(options.output)}) {
        if (auto const possible = check_output(output, options.force, {options.source}); !possible) {
            return fail("create", exit_failed, possible.error().message);
        }
    }
    termination_flag const termination;
    progress_display progress;
    auto const image = create_packed_image(options, progress, termination.requested());
    progress.finish();
    if (!image) {
        return fail("create", image.error().code, image.error().message);
    }
    if (!*image) {
        end_interrupted(termination);
    }
    std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - began;
    std::cout << packed_summary(options, **image, passed.count()) << '\n';
    return end_created(options, (*image)->torrent);
}

int create(create_options const& options) {
    auto const began = std::chrono::steady_clock::now();
    if (auto const possible = check_output(options.output, options.force, {options.source, options.partclone});
        !possible) {
        return fail("create", exit_failed, possible.error().message);
    }
    termination_flag const termination;
    progress_display progress;
    auto const image = create_image(options, progress, termination.requested());
    progress.finish();
    if (termination.requested()) {
        end_interrupted(termination);
    }
    if (!image) {
        return fail("create", image.error().code, image.error().message);
    }
    auto const& [extents, hashes] = (*image)->image;
    auto const input = options.source.empty() ? options.partclone : options.source;
    auto details = options.torrent;
    details.comment = (*image)->traits ? to_comment(*(*image)->traits) : "";
    auto const made = make_torrent(extents, hashes, details);
    if (!made) {
        return fail("create", exit_refused, input + ": " + made.error().message);
    }
    if (auto const saved = save_file(options.output, made->bytes, options.force); !saved) {
        return fail("create", exit_failed, saved.error().message);
    }
    std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - began;
    std::cout << summary(options, (*image)->image, *made, passed.count()) << '\n';
    return end_created(options, options.output);
}

} // namespace

int create_command(std::vector<std::string> const& arguments) {
    auto options = parse_create_options(arguments);
    if (!options) {
        return fail_usage("create", options.error().message);
    }
    if (options->help) {
        return show_help(create_help());
    }
    options->torrent.creator = "Seedbed " + program_version();
    if (auto const code = check_serve(*options); code != exit_ok) {
        return code;
    }
    try {
        return options->pack ? create_packed(*options) : create(*options);
    } catch (std::exception const& e) {
        return fail("create", exit_failed, std::string("internal failure: ") + e.what()); // out of memory or threads
    }
}

} // namespace seedbed
