#include "daemon/fleet/device_confinement.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// Entries of /dev that may be opened. Sockets, such as /dev/log, are connected to, not opened.
constexpr std::array harmless{"null",    "zero", "full", "random", "urandom", "tty",
                              "console", "ptmx", "pts",  "shm",    "mqueue",  "hugepages"};

constexpr std::uint64_t opening = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;

/// Allows opening the file, or everything below the folder. Skips paths that do not exist, and block devices.
result<void> allow(int rules, std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_PATH | O_CLOEXEC));
    if (!fd) {
        return {}; // nothing to open
    }
    struct stat what {};
    if (::fstat(fd.get(), &what) != 0) {
        return tl::unexpected(errno_error(path, errno));
    }
    if (S_ISBLK(what.st_mode)) {
        return {};
    }
    landlock_path_beneath_attr rule{};
    rule.allowed_access = opening;
    rule.parent_fd = fd.get();
    if (::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0U) != 0) {
        return tl::unexpected(errno_error("landlock_add_rule: " + path, errno));
    }
    return {};
}

result<void> allow_all_but_devices(int rules) {
    // Landlock has no exceptions within a folder, so everything except /dev is allowed instead.
    std::error_code ec;
    for (std::filesystem::directory_iterator entry("/", ec), end; !ec && entry != end; entry.increment(ec)) {
        if (entry->path() != "/dev") {
            if (auto allowed = allow(rules, entry->path().string()); !allowed) {
                return allowed;
            }
        }
    }
    if (ec) {
        return tl::unexpected(errno_error("/", ec.value()));
    }
    for (auto const* name : harmless) {
        if (auto allowed = allow(rules, std::string("/dev/") + name); !allowed) {
            return allowed;
        }
    }
    return {};
}

} // namespace

result<void> deny_device_nodes_to_this_thread() {
    landlock_ruleset_attr wanted{};
    wanted.handled_access_fs = opening | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
    unique_fd const rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &wanted, sizeof wanted, 0U)));
    if (!rules) {
        return tl::unexpected(errno_error("landlock_create_ruleset", errno));
    }
    if (auto allowed = allow_all_but_devices(rules.get()); !allowed) {
        return allowed;
    }
    auto const restrict_self = [&] { return ::syscall(SYS_landlock_restrict_self, rules.get(), 0U); };
    if (restrict_self() == 0) {
        return {};
    }
    // Without CAP_SYS_ADMIN, the kernel requires no_new_privs first.
    if (errno != EPERM || ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || restrict_self() != 0) {
        return tl::unexpected(errno_error("landlock_restrict_self", errno));
    }
    return {};
}

} // namespace seedbed
