#include "daemon/image/written_content.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <spdlog/fmt/fmt.h>

#include "core/device/file_block_device.hpp"
#include "core/device/image_fit.hpp"
#include "core/device/open_path.hpp"
#include "core/device/partition_table.hpp"
#include "core/image/image_origin.hpp"
#include "core/image/old_signatures.hpp"
#include "core/image/source_checks.hpp"

namespace seedbed {

namespace {

/// Why a kernel cannot use the content on this device: the sector sizes differ, or the file system is larger.
std::optional<std::string> why_unusable(block_device& device, disk_content const& found) {
    std::string head(static_cast<std::size_t>(std::min<std::int64_t>(device.size(), source_head)), '\0');
    auto const geometry = query_device_geometry(open_path(device));
    if (!geometry || !device.read(0, std::as_writable_bytes(std::span(head.data(), head.size())))) {
        return std::nullopt;
    }
    auto const traits = traits_of(found, head, 0);
    if (traits.size > device.size()) {
        return fmt::format("its file system takes up {} bytes, the device has {}", traits.size, device.size());
    }
    return geometry->is_block_device ? why_other_sectors(traits, {.sector_size = geometry->logical_block_size})
                                     : std::nullopt;
}

} // namespace

std::string describe(disk_signature const& signature) {
    return fmt::format("{} at byte {}", signature.type, signature.offset);
}

wiped_signatures wipe_old_content(served_image& image) {
    auto& device = image.storage();
    auto const path = open_path(device);
    auto const extents = image.stored_extents();
    if (!extents) {
        return {{}, {extents.error().message}};
    }
    auto const all = find_signatures(path);
    if (!all) {
        return {{},
                {"cannot be searched for signatures of earlier content (" + reason_without_path(all.error(), path) +
                 "); any that remain outside the image can hide it from a system"}};
    }
    wiped_signatures wiped;
    for (auto& signature : to_wipe(*all, *extents)) {
        if (auto const outcome = wipe_signature(device, signature, &*extents); !outcome) {
            wiped.warnings.push_back(
                fmt::format("cannot wipe the signature of earlier content: {} ({}); it can hide the "
                            "image from a system",
                            describe(signature), outcome.error().message()));
        } else {
            wiped.signatures.push_back(std::move(signature));
        }
    }
    return wiped;
}

std::vector<std::string> compare_content(disk_content const& found, std::vector<disk_signature> const& signatures,
                                         extent_map const& extents, image_traits const& traits) {
    std::vector<std::string> warnings;
    std::vector<std::string> named;
    for (auto const& signature : outside_image(signatures, extents)) {
        if (std::ranges::find(named, signature.type) == named.end()) {
            named.push_back(signature.type);
            warnings.push_back("holds the remains of earlier content, which the image does not overwrite: " +
                               describe(signature) + "; erase them with wipefs");
        }
    }
    if (found.ambiguous) {
        warnings.push_back("holds several signatures (" + signature_types(found.signatures) +
                           "); a system may not recognise its content");
    }
    auto const& expected = traits.content;
    auto const& type = found.type.empty() ? found.partition_table : found.type;
    if (!expected.empty() && !found.ambiguous && type != expected) {
        warnings.push_back("is recognised as " + (type.empty() ? "nothing" : type) + "; the image is of " + expected);
    }
    return warnings;
}

written_content examine_content(served_image& image) {
    auto const extents = image.stored_extents();
    if (!extents) {
        return {std::nullopt, {extents.error().message}};
    }
    auto const& packed = image.torrent().packed;
    return examine_device(image.storage(), *extents, image.torrent().traits,
                          packed && packed->description.layout.has_value());
}

written_content examine_device(block_device& device, extent_map const& extents, image_traits const& traits,
                               bool planned) {
    auto const path = open_path(device);
    written_content content;
    auto const signatures = find_signatures(path);
    auto found = probe_content(path);
    if (!signatures || !found) {
        auto const& why = signatures ? found.error() : signatures.error();
        content.warnings.push_back("cannot be probed: " + reason_without_path(why, path));
        return content;
    }
    content.warnings = compare_content(*found, planned ? std::vector<disk_signature>{} : *signatures, extents, traits);
    if (auto const wrong = why_unusable(device, *found)) {
        content.warnings.push_back("cannot be used: " + *wrong);
    }
    if (auto const raw = device.raw()) {
        if (auto const failed = reread_partition_table(raw->cached)) {
            content.warnings.push_back("the kernel still uses the old partition table (" + *failed +
                                       "); run partprobe, or reboot");
        }
    }
    content.found = std::move(*found);
    return content;
}

} // namespace seedbed
