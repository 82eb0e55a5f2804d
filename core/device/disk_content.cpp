#include "core/device/disk_content.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <blkid.h>
#include <fcntl.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// ZFS has the most copies: 128 uberblocks in each of four labels.
constexpr std::size_t max_signatures = 1024;

struct free_probe {
    void operator()(blkid_probe probe) const noexcept { ::blkid_free_probe(probe); }
};

/// An open device and libblkid's state for it.
struct open_probe {
    unique_fd fd;
    std::unique_ptr<std::remove_pointer_t<blkid_probe>, free_probe> probe;
};

/// libblkid sets errno only if a system call failed.
error probe_error(std::string const& path) {
    return errno_error(path, errno != 0 ? errno : EIO);
}

/// \param superblocks, partitions what to probe of each kind.
result<open_probe> start_probe(std::string const& path, device_part const& part, int superblocks, int partitions) {
    open_probe opened;
    opened.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened.fd) {
        return tl::unexpected(errno_error(path, errno));
    }
    opened.probe.reset(::blkid_new_probe());
    auto* const probe = opened.probe.get();
    if (probe == nullptr) {
        return tl::unexpected(errno_error(path, ENOMEM));
    }
    errno = 0;
    if (::blkid_probe_set_device(probe, opened.fd.get(), part.offset, part.size) != 0 ||
        ::blkid_probe_enable_superblocks(probe, 1) != 0 ||
        ::blkid_probe_set_superblocks_flags(probe, superblocks) != 0 ||
        ::blkid_probe_enable_partitions(probe, 1) != 0 || ::blkid_probe_set_partitions_flags(probe, partitions) != 0) {
        return tl::unexpected(probe_error(path));
    }
    return opened;
}

std::string value(blkid_probe probe, char const* name) {
    char const* text = nullptr;
    return ::blkid_probe_lookup_value(probe, name, &text, nullptr) == 0 && text != nullptr ? text : "";
}

/// The signature that libblkid has just found. Its length is 0 if it has no magic bytes at a fixed place.
disk_signature signature_at(blkid_probe probe) {
    disk_signature found;
    found.type = value(probe, "TYPE");
    found.partition_table = found.type.empty();
    if (found.partition_table) {
        found.type = value(probe, "PTTYPE");
    }
    found.label = value(probe, "LABEL");
    std::size_t length = 0;
    if (::blkid_probe_lookup_value(probe, found.partition_table ? "PTMAGIC" : "SBMAGIC", nullptr, &length) == 0) {
        auto const offset = value(probe, found.partition_table ? "PTMAGIC_OFFSET" : "SBMAGIC_OFFSET");
        std::from_chars(offset.data(), offset.data() + offset.size(), found.offset);
        found.length = static_cast<std::int64_t>(length);
    }
    return found;
}

/// \param copies also look behind each signature for another of its kind.
result<std::vector<disk_signature>> list_signatures(std::string const& path, device_part const& part, bool copies) {
    auto const opened = start_probe(
        path, part, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC | (copies ? BLKID_SUBLKS_BADCSUM : 0),
        BLKID_PARTS_MAGIC | (copies ? BLKID_PARTS_FORCE_GPT : 0));
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    auto* const probe = opened->probe.get();
    std::vector<disk_signature> found;
    errno = 0;
    int code = 0;
    while (found.size() < max_signatures && (code = ::blkid_do_probe(probe)) == 0) {
        auto const signature = signature_at(probe);
        if (signature.type.empty()) {
            continue; // an entry of a partition table, not the table
        }
        found.push_back(signature);
        // Hides the range in libblkid's memory only.
        if (copies && signature.length > 0 &&
            (::blkid_probe_hide_range(probe, static_cast<std::uint64_t>(signature.offset),
                                      static_cast<std::uint64_t>(signature.length)) != 0 ||
             ::blkid_probe_step_back(probe) != 0)) {
            return tl::unexpected(probe_error(path));
        }
    }
    if (code < 0) {
        return tl::unexpected(probe_error(path));
    }
    return found;
}

} // namespace

result<disk_content> probe_content(std::string const& path, device_part const& part) {
    auto const opened =
        start_probe(path, part, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID, BLKID_PARTS_ENTRY_DETAILS);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    auto* const probe = opened->probe.get();
    disk_content found;
    errno = 0;
    switch (::blkid_do_safeprobe(probe)) {
    case 0:
        found.type = value(probe, "TYPE");
        found.label = value(probe, "LABEL");
        found.uuid = value(probe, "UUID");
        found.partition_table = value(probe, "PTTYPE");
        found.partition_uuid = value(probe, "PART_ENTRY_UUID");
        break;
    case 1: // nothing was found
        return found;
    case -2: // several were found
        found.ambiguous = true;
        break;
    default:
        return tl::unexpected(probe_error(path));
    }
    auto signatures = list_signatures(path, part, false);
    if (!signatures) {
        return tl::unexpected(signatures.error());
    }
    found.signatures = std::move(*signatures);
    return found;
}

result<std::vector<disk_signature>> find_signatures(std::string const& path) {
    return list_signatures(path, {}, true);
}

std::string signature_types(std::span<disk_signature const> signatures) {
    std::vector<std::string_view> types;
    std::string text;
    for (auto const& signature : signatures) {
        if (std::ranges::find(types, signature.type) == types.end()) {
            types.emplace_back(signature.type);
            text += (text.empty() ? "" : ", ") + signature.type;
        }
    }
    return text;
}

} // namespace seedbed
