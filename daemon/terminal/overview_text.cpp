#include "daemon/terminal/overview_text.hpp"

#include <algorithm>
#include <vector>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

std::string quoted_label(std::string const& label) {
    return label.empty() ? "" : "\"" + label + "\"";
}

/// The valid content, then anything else that is recognised, each type once.
/// \param problem why the content is unknown, or empty
std::string describe(disk_content const& content, std::string const& problem) {
    if (!problem.empty()) {
        return "unknown: it cannot be read (" + problem + ")";
    }
    auto text = content.type;
    if (!content.label.empty()) {
        text += (text.empty() ? "" : " ") + quoted_label(content.label);
    }
    if (!content.partition_table.empty()) {
        text += (text.empty() ? "" : ", ") + content.partition_table + " partition table";
    }
    std::string others;
    std::vector<std::string> named{content.type, content.partition_table};
    for (auto const& signature : content.signatures) {
        if (std::ranges::find(named, signature.type) == named.end()) {
            named.push_back(signature.type);
            others += (others.empty() ? "" : ", ") + signature.type +
                      (signature.label.empty() ? "" : " " + quoted_label(signature.label)) +
                      (signature.partition_table ? " partition table" : "");
        }
    }
    if (content.ambiguous) {
        return "several signatures: " + others;
    }
    return others.empty() ? text : text + (text.empty() ? "" : ", also ") + others;
}

void add_part(std::string& text, std::string const& part) {
    if (!part.empty()) {
        text += (text.empty() ? "" : ", ") + part;
    }
}

std::string disk_line(device_overview const& device, storage_class cls) {
    auto text = device.model;
    add_part(text, device.serial.empty() ? "" : "serial " + device.serial);
    add_part(text, device.backing_file.empty() ? "" : "loop device of " + device.backing_file);
    add_part(text, display_name(cls));
    return text;
}

} // namespace

std::string overview_text(device_overview const& device, storage_class cls) {
    std::string text;
    auto const line = [&text](std::string const& content) { text += printable(content) + "\n"; };
    auto const field = [&line](char const* name, std::string const& content) {
        line(fmt::format("  {:<9} {}", name, content));
    };
    auto const kind = !device.block_device         ? std::string("a file")
                      : !device.disk.empty()       ? "partition of " + device.disk
                      : !device.partitions.empty() ? "a whole disk"
                                                   : "";
    line(fmt::format("{}: {}{}{}", device.path, format_byte_size(device.size), kind.empty() ? "" : ", ", kind));
    field("disk", disk_line(device, cls));
    if (!device.by_id.empty()) {
        field("known as", device.by_id);
    }
    auto const content = describe(device.content, device.content_problem);
    field("holds", !content.empty() ? content : device.partitions.empty() ? "nothing recognised" : "partitions");
    for (auto const& partition : device.partitions) {
        auto const holds = describe(partition.content, partition.content_problem);
        line(fmt::format("            {}  {}{}{}{}", partition.path, format_byte_size(partition.size),
                         holds.empty() ? "" : "  ", holds,
                         partition.mount_point.empty() ? "" : ", mounted on " + partition.mount_point));
    }
    field("mounted", device.mount_point.empty() ? "no" : "on " + device.mount_point);
    return text;
}

std::string image_text(image_torrent const& torrent) {
    return printable(torrent.name + ": " + size_text(torrent)) + "\n  info-hash " + torrent.info_hash.to_hex();
}

} // namespace seedbed
