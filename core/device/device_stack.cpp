#include "core/device/device_stack.hpp"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

constexpr auto no_end = std::numeric_limits<std::int64_t>::max();
/// The maximum number of stacked devices; more indicate a cycle of links.
constexpr int max_stack_depth = 16;

/// Maps a range of a device to the device below it, where the upper one starts at \p offset. \param length of the upper
/// device; 0 = unknown.
storage_part moved(storage_part const& part, std::int64_t offset, std::int64_t length) {
    auto const end = length > 0 ? std::min(part.end, length) : part.end;
    auto lower = part;
    lower.begin = part.begin + offset;
    lower.end = end > no_end - offset ? no_end : end + offset;
    return lower;
}

/// Asks a loop device for the identity of its file, which the file's name in sysfs may not lead to: the file can have
/// lost that name, or be visible only in another mount namespace. \return nothing if the device cannot be opened here.
std::optional<storage_id> loop_file(dev_t device, fs::path const& node) {
    unique_fd const fd(::open(node.c_str(), O_RDONLY | O_CLOEXEC));
    struct ::stat status = {};
    ::loop_info64 info = {};
    if (!fd || ::fstat(fd.get(), &status) != 0 || id_of(status) != storage_id{true, device, 0} ||
        ::ioctl(fd.get(), LOOP_GET_STATUS64, &info) != 0) {
        return std::nullopt;
    }
    // The number of a block device; of a regular file, lo_device again or, since Linux 6, zero (drivers/block/loop.c).
    return info.lo_rdevice != 0 && info.lo_rdevice != info.lo_device ? storage_id{true, info.lo_rdevice, 0}
                                                                     : storage_id{false, info.lo_device, info.lo_inode};
}

std::optional<storage_id> named_file(std::string const& path) {
    struct ::stat status = {};
    return ::stat(path.c_str(), &status) == 0 ? std::optional(id_of(status)) : std::nullopt;
}

class stack_builder {
public:
    explicit stack_builder(system_paths const& paths)
        : m_paths(paths) {}

    /// Adds \p part and everything below it.
    void add(storage_part const& part, int depth) {
        m_stack.push_back(part);
        auto const folder =
            part.id.block_device && depth < max_stack_depth ? sysfs_folder(part.id.device, m_paths.sysfs) : fs::path{};
        if (folder.empty()) {
            return;
        }
        if (is_partition(folder)) {
            if (auto const disk = parse_number_pair(read_text(folder.parent_path() / "dev"))) {
                auto lower = moved(part, read_number(folder / "start") * sysfs_sector,
                                   read_number(folder / "size") * sysfs_sector);
                lower.id = {true, *disk, 0};
                add(lower, depth + 1);
            }
            return;
        }
        add_backing_file(part, folder, depth);
        for (auto const& slave : subfolders(folder / "slaves")) {
            if (auto const device = parse_number_pair(read_text(slave / "dev"))) {
                add({.id = {true, *device, 0}, .exact = false}, depth + 1);
            }
        }
    }

    [[nodiscard]] device_stack take() { return std::move(m_stack); }

private:
    /// Adds the file of a loop device (Documentation/ABI/testing/sysfs-block-loop).
    void add_backing_file(storage_part const& part, fs::path const& folder, int depth) {
        auto const file = loop_backing_file(folder);
        if (file.empty()) {
            return;
        }
        auto identity = loop_file(part.id.device, m_paths.nodes / folder.filename());
        if (!identity) {
            identity = named_file(file);
        }
        if (!identity) {
            return;
        }
        auto lower = moved(part, read_number(folder / "loop" / "offset"), read_number(folder / "size") * sysfs_sector);
        lower.id = *identity;
        lower.path = file;
        add(lower, depth + 1);
    }

    system_paths const& m_paths;
    device_stack m_stack;
};

} // namespace

storage_id id_of(struct ::stat const& status) {
    return S_ISBLK(status.st_mode) ? storage_id{true, status.st_rdev, 0}
                                   : storage_id{false, status.st_dev, status.st_ino};
}

device_stack stack_of(struct ::stat const& status, system_paths const& paths) {
    stack_builder builder(paths);
    builder.add({.id = id_of(status)}, 0);
    return builder.take();
}

device_stack stack_of(dev_t device, system_paths const& paths) {
    stack_builder builder(paths);
    builder.add({.id = {true, device, 0}}, 0);
    return builder.take();
}

bool overlap(std::span<storage_part const> a, std::span<storage_part const> b) {
    return std::ranges::any_of(a, [&](auto const& of_a) {
        return std::ranges::any_of(b, [&](auto const& of_b) {
            return of_a.id == of_b.id && (of_a.exact || of_b.exact) && of_a.begin < of_b.end && of_b.begin < of_a.end;
        });
    });
}

bool stands_on(std::span<storage_part const> stack, storage_id const& id) {
    return std::ranges::find(stack, id, &storage_part::id) != stack.end();
}

std::vector<stacked_device> devices_above(device_stack const& stack, system_paths const& paths) {
    std::vector<stacked_device> found;
    for (auto const& folder : subfolders(paths.sysfs / "block")) {
        auto const number = parse_number_pair(read_text(folder / "dev"));
        auto const file = loop_backing_file(folder);
        if (!number || (file.empty() && subfolders(folder / "slaves").empty()) ||
            stands_on(stack, {true, *number, 0}) || !overlap(stack, stack_of(*number, paths))) {
            continue;
        }
        auto name = folder.filename().string();
        std::ranges::replace(name, '!', '/'); // sysfs uses "!" for "/"
        found.push_back({std::move(name), file});
    }
    std::ranges::sort(found, {}, &stacked_device::name);
    return found;
}

bool paths_overlap(std::string const& a, std::string const& b, system_paths const& paths) {
    struct ::stat of_a = {};
    struct ::stat of_b = {};
    return ::stat(a.c_str(), &of_a) == 0 && ::stat(b.c_str(), &of_b) == 0 &&
           overlap(stack_of(of_a, paths), stack_of(of_b, paths));
}

} // namespace seedbed
