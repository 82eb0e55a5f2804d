#include "core/layout/partition_tools.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include <sys/mount.h>
#include <unistd.h>

#include "core/layout/loop_view.hpp"
#include "core/layout/program_run.hpp"

namespace seedbed {

namespace {

struct tool {
    std::string_view name;
    std::string_view package;
};

bool is_ext(std::string_view type) {
    return type == "ext2" || type == "ext3" || type == "ext4";
}

/// The programs for one partition of the plan.
std::vector<tool> tools_for(deployment_plan const& plan, partition_entry const& partition) {
    auto const& type = partition.content.type;
    if (type == "swap") {
        return {{"mkswap", "util-linux"}};
    }
    if (partition.number != plan.grown) {
        return {};
    }
    if (is_ext(type)) {
        return {{"e2fsck", "e2fsprogs"}, {"resize2fs", "e2fsprogs"}};
    }
    if (type == "ntfs") {
        return {{"ntfsresize", "ntfs-3g"}};
    }
    if (type == "xfs") {
        return {{"xfs_growfs", "xfsprogs"}};
    }
    return {{"btrfs", "btrfs-progs"}};
}

std::string purpose(partition_entry const& partition) {
    return (partition.content.type == "swap" ? "make the swap area in " : "grow ") + describe(partition);
}

/// A file system mounted in a temporary folder, for the lifetime of the object.
class temporary_mount {
public:
    static result<temporary_mount> make(std::string const& device, std::string const& type, char const* options) {
        std::error_code ec;
        auto folder = (std::filesystem::temp_directory_path(ec) / "seedbed-grow-XXXXXX").string();
        if (ec || ::mkdtemp(folder.data()) == nullptr) {
            return tl::unexpected(errno_error("a temporary folder", ec ? ec.value() : errno));
        }
        if (::mount(device.c_str(), folder.c_str(), type.c_str(), MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0) {
            auto const code = errno;
            std::filesystem::remove(folder, ec); // an empty folder that stays harms nothing
            return tl::unexpected(errno_error("mount", code));
        }
        return temporary_mount(std::move(folder));
    }
    temporary_mount(temporary_mount&& other) noexcept
        : m_folder(std::exchange(other.m_folder, {})) {}
    temporary_mount& operator=(temporary_mount&&) = delete;
    ~temporary_mount() {
        if (!m_folder.empty()) {
            static_cast<void>(unmount()); // an error has been reported already
        }
    }

    [[nodiscard]] std::string const& folder() const noexcept { return m_folder; }

    [[nodiscard]] result<void> unmount() {
        auto const folder = std::exchange(m_folder, {});
        if (::umount2(folder.c_str(), 0) != 0) {
            return tl::unexpected(errno_error("umount " + folder, errno));
        }
        std::error_code ec;
        std::filesystem::remove(folder, ec); // an empty folder that stays harms nothing
        return {};
    }

private:
    explicit temporary_mount(std::string folder)
        : m_folder(std::move(folder)) {}

    std::string m_folder;
};

/// Runs the programs for one partition, on its loop device.
class partition_finisher {
public:
    partition_finisher(partition_entry const& partition, std::string const& device)
        : m_partition(partition)
        , m_device(device) {}

    [[nodiscard]] result<void> make_swap() const {
        auto const& content = m_partition.content;
        std::vector<std::string> arguments{"-p", std::to_string(content.swap_page)};
        if (!content.uuid.empty()) {
            arguments.insert(arguments.end(), {"-U", content.uuid});
        }
        if (!content.label.empty()) {
            arguments.insert(arguments.end(), {"-L", content.label});
        }
        arguments.push_back(m_device);
        return run("mkswap", arguments);
    }

    [[nodiscard]] result<void> grow() const {
        auto const& type = m_partition.content.type;
        if (is_ext(type)) {
            // 1: it has corrected something; 2: and the system should restart, if the file system were mounted.
            auto const checked = run("e2fsck", {"-f", "-p", m_device}, {}, 2);
            return checked ? run("resize2fs", {m_device}) : checked;
        }
        if (type == "ntfs") {
            // Forced, because an image may be marked for a check, as ntfsresize itself marks it; "y" confirms.
            auto const possible = run("ntfsresize", {"--no-action", "-f", "-P", m_device});
            return possible ? run("ntfsresize", {"-f", "-P", m_device}, "y\n") : possible;
        }
        return grow_mounted();
    }

private:
    [[nodiscard]] result<void> grow_mounted() const {
        bool const xfs = m_partition.content.type == "xfs";
        // The source may be a disk of this machine, with the same id.
        auto mounted = temporary_mount::make(m_device, m_partition.content.type, xfs ? "nouuid" : nullptr);
        if (!mounted) {
            return refuse(mounted.error().message);
        }
        auto const grown = xfs ? run("xfs_growfs", {mounted->folder()})
                               : run("btrfs", {"filesystem", "resize", "max", mounted->folder()});
        auto const unmounted = mounted->unmount();
        return !grown || unmounted ? grown : refuse(unmounted.error().message);
    }

    /// \param highest exit status that means success.
    [[nodiscard]] result<void> run(std::string const& name, std::vector<std::string> const& arguments,
                                   std::string const& input = {}, int highest = 0) const {
        auto const path = find_program(name);
        if (path.empty()) {
            return refuse(name + " is not installed");
        }
        auto const end = run_to_end(path, arguments, input);
        if (!end) {
            return refuse(end.error().message);
        }
        if (end->status > highest) {
            return refuse(name + " failed with exit status " + std::to_string(end->status) +
                          (end->last_line.empty() ? "" : ": " + end->last_line));
        }
        return {};
    }

    [[nodiscard]] result<void> refuse(std::string const& reason) const {
        return tl::unexpected(error{describe(m_partition) + ": " + reason});
    }

    partition_entry const& m_partition;
    std::string const& m_device;
};

result<void> finish_one(int disk, deployment_plan const& plan, partition_entry const& partition) {
    auto const view = loop_view::make(disk, partition.start, partition.size, plan.target.sector_size);
    if (!view) {
        return tl::unexpected(error{describe(partition) + ": " + view.error().message});
    }
    partition_finisher const finisher(partition, view->path());
    auto const done = partition.content.type == "swap" ? finisher.make_swap() : finisher.grow();
    return done ? view->flush() : done;
}

} // namespace

std::vector<missing_program> missing_programs(deployment_plan const& plan, program_search const& search) {
    std::vector<missing_program> missing;
    for (auto const& partition : plan.target.partitions) {
        for (auto const& each : tools_for(plan, partition)) {
            if (search(std::string(each.name)).empty()) {
                missing.push_back({std::string(each.name), std::string(each.package), purpose(partition)});
            }
        }
    }
    return missing;
}

result<void> finish_partitions(int disk, std::string const& name, deployment_plan const& plan,
                               std::function<void(std::string const&)> const& on_step) {
    for (auto const& partition : plan.target.partitions) {
        if (tools_for(plan, partition).empty()) {
            continue;
        }
        if (on_step) {
            on_step(purpose(partition));
        }
        if (auto const done = finish_one(disk, plan, partition); !done) {
            return tl::unexpected(error{name + ": " + done.error().message});
        }
    }
    // The loop devices' flushes have reached at least the disk's page cache.
    return ::fsync(disk) == 0 ? result<void>() : tl::unexpected(errno_error(name, errno));
}

} // namespace seedbed
