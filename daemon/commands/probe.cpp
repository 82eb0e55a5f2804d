#include "daemon/commands/probe.hpp"

#include <algorithm>
#include <array>
#include <iostream>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/program_options.hpp>
#include <nlohmann/json.hpp>

#include "config/load.hpp"
#include "core/device/file_block_device.hpp"
#include "core/device/storage_class.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_restore.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/commands/create_packed.hpp"
#include "daemon/commands/packed_report.hpp"
#include "daemon/service/exit_code.hpp"

namespace seedbed {

namespace {

namespace po = boost::program_options;

/// The "format" of the JSON document: incremented when a key changes its meaning or is removed.
constexpr int probe_format = 1;

struct probe_options {
    std::vector<std::string> devices;
    std::string config;
    bool json = false;
};

/// Names of packed files end so; a .torrent has the same name.
bool is_packed_name(std::string const& path) {
    return path.ends_with(packed_suffix);
}

struct probed_device {
    std::string path;
    device_geometry geometry;
    storage_class_decision decision;
    io_profile profile;
};

po::options_description describe(probe_options& options) {
    po::options_description description;
    auto add = description.add_options();
    add("help,h", "show this help");
    add("config", po::value(&options.config)->value_name("FILE"),
        "take profiles from this configuration file (default: built-in profiles)");
    add("json", po::bool_switch(&options.json), "print a JSON document (format 1, sizes in bytes)");
    return description;
}

/// As in the configuration file: true, false or "auto".
nlohmann::ordered_json to_json(direct_io_mode mode) {
    if (mode == direct_io_mode::automatic) {
        return to_string(mode);
    }
    return mode == direct_io_mode::on;
}

nlohmann::ordered_json to_json(probed_device const& device) {
    return {{"device", device.path},
            {"class", to_string(device.decision.cls)},
            {"evidence", device.decision.evidence},
            {"block_device", device.geometry.is_block_device},
            {"size", device.geometry.size},
            {"logical_sector_size", device.geometry.logical_block_size},
            {"physical_sector_size", device.geometry.physical_block_size},
            {"read_only", device.geometry.read_only},
            {"profile",
             {{"threads", device.profile.threads},
              {"queue_depth", device.profile.queue_depth},
              {"coalesce", device.profile.coalesce},
              {"delay_ms", device.profile.delay.count()},
              {"read_ahead", device.profile.read_ahead},
              {"direct_io", to_json(device.profile.direct_io)},
              {"io_engine", to_string(device.profile.io_engine)}}}};
}

nlohmann::ordered_json to_json(packed_image const& image) {
    auto const& about = image.description;
    return {{"name", image.name},
            {"info_hash", image.info_hash.to_hex()},
            {"kind", to_string(about.kind)},
            {"size", about.source_size.value()},
            {"sector_size", about.sector_size},
            {"content", about.content},
            {"label", about.label},
            {"uuid", about.uuid},
            {"bytes", about.used.value()},
            {"chunks", image.index.chunks().size()},
            {"packed_bytes", image.packed_size.value()},
            {"pieces", image.piece_count()},
            {"piece_size", image.geometry.piece_length}};
}

void print_json(std::vector<probed_device> const& devices, std::vector<packed_image> const& images) {
    auto list = nlohmann::ordered_json::array();
    for (auto const& device : devices) {
        list.push_back(to_json(device));
    }
    nlohmann::ordered_json document{{"format", probe_format}, {"devices", std::move(list)}};
    if (!images.empty()) {
        auto& packed = document["packed_images"] = nlohmann::ordered_json::array();
        for (auto const& image : images) {
            packed.push_back(to_json(image));
        }
    }
    std::cout << document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
}

using row = std::array<std::string, 11>;

row to_row(probed_device const& device) {
    auto const& profile = device.profile;
    return {device.path,
            display_name(device.decision.cls),
            format_byte_size(device.geometry.size),
            std::to_string(device.geometry.logical_block_size) + "/" +
                std::to_string(device.geometry.physical_block_size),
            device.geometry.read_only ? "ro" : "rw",
            std::to_string(profile.threads),
            std::to_string(profile.queue_depth),
            format_byte_size(profile.coalesce) + ", " + std::to_string(profile.delay.count()) + " ms, " +
                format_byte_size(profile.read_ahead),
            to_string(profile.direct_io),
            to_string(profile.io_engine),
            device.decision.evidence};
}

/// Columns as wide as their widest cell; the last one is not padded.
void print_table(std::vector<probed_device> const& devices) {
    std::vector<row> rows{{"DEVICE", "CLASS", "SIZE", "SECTOR", "MODE", "THREADS", "DEPTH",
                           "COALESCE, DELAY, READ-AHEAD", "DIRECT", "ENGINE", "BECAUSE"}};
    std::transform(devices.begin(), devices.end(), std::back_inserter(rows), to_row);
    std::array<std::size_t, std::tuple_size_v<row>> widths{};
    for (auto const& cells : rows) {
        for (std::size_t i = 0; i + 1 < cells.size(); ++i) {
            widths[i] = std::max(widths[i], cells[i].size() + 2);
        }
    }
    for (auto const& cells : rows) {
        for (std::size_t i = 0; i < cells.size(); ++i) {
            std::cout << cells[i] << std::string(widths[i] - std::min(widths[i], cells[i].size()), ' ');
        }
        std::cout << '\n';
    }
}

/// The image of a packed file, which must have the size that the .torrent beside it states.
result<packed_image> load_packed_file(std::string const& path) {
    auto image = load_packed_image(torrent_beside(path));
    if (!image) {
        return image;
    }
    if (auto const file = open_packed_file(path, *image); !file) {
        return tl::unexpected(file.error());
    }
    return image;
}

int probe(probe_options const& options) {
    auto const configured = settings_from(options.config);
    if (!configured) {
        return exit_usage;
    }
    std::vector<probed_device> probed;
    std::vector<packed_image> images;
    int status = exit_ok;
    for (auto const& path : options.devices) {
        if (is_packed_name(path)) {
            auto image = load_packed_file(path);
            if (image) {
                images.push_back(std::move(*image));
            } else {
                status = fail("probe", exit_failed, printable(image.error().message));
            }
            continue;
        }
        auto const geometry = query_device_geometry(path);
        if (!geometry) {
            status = fail("probe", exit_failed, geometry.error().message);
            continue;
        }
        auto decision = detect_storage_class(path);
        auto const profile = configured->profile(decision.cls);
        probed.push_back({path, *geometry, std::move(decision), profile});
    }
    if (options.json) {
        print_json(probed, images);
        return end_output("probe", status);
    }
    if (!probed.empty()) {
        print_table(probed);
    }
    for (auto const& image : images) {
        std::cout << packed_text(image);
    }
    return end_output("probe", status);
}

} // namespace

command_help probe_help() {
    probe_options options;
    return {
        "probe",
        {"[OPTION]... DEVICE..."},
        {"Shows the class of each DEVICE, a block device or an image file, how it was detected, and the profile that "
         "the device gets. For a packed image, a DEVICE whose name ends in .sbi, it shows instead what the .torrent "
         "beside it describes."},
        to_option_helps(describe(options)),
        {{exit_ok, "all shown"},
         {exit_failed, "a DEVICE could not be examined"},
         {exit_usage, "bad command line or configuration"}}};
}

int probe_command(std::vector<std::string> const& arguments) {
    probe_options options;
    auto all = describe(options);
    all.add_options()("device", po::value(&options.devices));
    auto const taken = take_arguments(arguments, all, po::positional_options_description().add("device", -1));
    if (!taken) {
        return fail_usage("probe", taken.error().message);
    }
    if (!*taken) {
        return show_help(probe_help());
    }
    if (options.devices.empty()) {
        return fail_usage("probe", "DEVICE is missing");
    }
    return probe(options);
}

} // namespace seedbed
