#include "core/device/disk_content.hpp"

#include <cerrno>
#include <memory>
#include <type_traits>

#include <blkid.h>
#include <fcntl.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

struct free_probe {
    void operator()(blkid_probe probe) const noexcept { ::blkid_free_probe(probe); }
};

std::string value(blkid_probe probe, char const* name) {
    char const* text = nullptr;
    return ::blkid_probe_lookup_value(probe, name, &text, nullptr) == 0 && text != nullptr ? text : "";
}

} // namespace

result<disk_content> probe_content(std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return tl::unexpected(errno_error(path, errno));
    }
    std::unique_ptr<std::remove_pointer_t<blkid_probe>, free_probe> const probe(::blkid_new_probe());
    if (!probe) {
        return tl::unexpected(errno_error(path, ENOMEM));
    }
    auto const failed = [&] { return tl::unexpected(errno_error(path, errno != 0 ? errno : EIO)); };
    errno = 0; // libblkid sets it only if a system call has failed
    if (::blkid_probe_set_device(probe.get(), fd.get(), 0, 0) != 0 ||
        ::blkid_probe_enable_superblocks(probe.get(), 1) != 0 ||
        ::blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID) !=
            0 ||
        ::blkid_probe_enable_partitions(probe.get(), 1) != 0 ||
        ::blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_ENTRY_DETAILS) != 0) {
        return failed();
    }
    errno = 0;
    switch (::blkid_do_safeprobe(probe.get())) {
    case 0:
        break;
    case 1:  // nothing is found
    case -2: // several are
        return disk_content{};
    default:
        return failed();
    }
    disk_content found;
    found.type = value(probe.get(), "TYPE");
    found.label = value(probe.get(), "LABEL");
    found.uuid = value(probe.get(), "UUID");
    found.partition_table = value(probe.get(), "PTTYPE");
    found.partition_uuid = value(probe.get(), "PART_ENTRY_UUID");
    return found;
}

} // namespace seedbed
