#include "support/loop_device.hpp"

#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/loop.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "core/foundation/unique_fd.hpp"

namespace seedbed::test {

namespace {

[[noreturn]] void throw_errno(std::string const& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

unique_fd open_or_throw(std::string const& path, int flags) {
    unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC, 0600));
    if (!fd) {
        throw_errno("open " + path);
    }
    return fd;
}

} // namespace

std::optional<std::string> loop_devices_missing() {
    if (::geteuid() != 0) {
        return "loop devices need root";
    }
    unique_fd const control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) {
        return "/dev/loop-control: " + std::generic_category().message(errno);
    }
    int const number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) {
        return "LOOP_CTL_GET_FREE: " + std::generic_category().message(errno);
    }
    // A container may have the control device without the loop devices themselves.
    std::string const path = "/dev/loop" + std::to_string(number);
    if (::access(path.c_str(), R_OK | W_OK) != 0) {
        return path + ": " + std::generic_category().message(errno);
    }
    return std::nullopt;
}

loop_device::loop_device(options const& wanted)
    : m_folder(wanted.folder)
    , m_backing_file(wanted.file.empty() ? m_folder / "disk.img" : wanted.file) {
    unique_fd const file = open_or_throw(m_backing_file.string(), O_RDWR | O_CREAT);
    if (wanted.file.empty() && ::ftruncate(file.get(), wanted.size) != 0) {
        throw_errno("ftruncate " + m_backing_file.string());
    }
    unique_fd const control = open_or_throw("/dev/loop-control", O_RDWR);

    loop_config config = {};
    config.fd = static_cast<std::uint32_t>(file.get());
    config.block_size = wanted.block_size;
    config.info.lo_offset = static_cast<std::uint64_t>(wanted.offset);
    config.info.lo_sizelimit = static_cast<std::uint64_t>(wanted.length);
    config.info.lo_flags = (wanted.read_only ? unsigned{LO_FLAGS_READ_ONLY} : 0U) |
                           (wanted.direct_io ? unsigned{LO_FLAGS_DIRECT_IO} : 0U) |
                           (wanted.partitions ? unsigned{LO_FLAGS_PARTSCAN} : 0U);
    for (;;) {
        int const number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) {
            throw_errno("LOOP_CTL_GET_FREE");
        }
        std::string const path = "/dev/loop" + std::to_string(number);
        unique_fd const device = open_or_throw(path, O_RDWR);
        if (::ioctl(device.get(), LOOP_CONFIGURE, &config) == 0) {
            m_path = path;
            return;
        }
        // Another process has taken it in the meantime: try the next one.
        if (errno != EBUSY) {
            throw_errno("LOOP_CONFIGURE " + path);
        }
    }
}

loop_device::~loop_device() {
    unique_fd const device(::open(m_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!device || ::ioctl(device.get(), LOOP_CLR_FD) != 0) {
        std::fprintf(stderr, "%s stays attached: %s\n", m_path.c_str(), std::strerror(errno));
    }
}

std::string loop_device::add_partition(int number, std::int64_t offset, std::int64_t length) {
    unique_fd const device = open_or_throw(m_path, O_RDONLY);
    blkpg_partition partition = {};
    partition.start = offset;
    partition.length = length;
    partition.pno = number;
    blkpg_ioctl_arg argument = {};
    argument.op = BLKPG_ADD_PARTITION;
    argument.datalen = sizeof(partition);
    argument.data = &partition;
    if (::ioctl(device.get(), BLKPG, &argument) != 0) {
        throw_errno("BLKPG " + m_path);
    }
    return m_path + "p" + std::to_string(number);
}

mounted::mounted(std::string const& source, std::filesystem::path target, std::string const& type, unsigned long flags,
                 std::string const& data)
    : m_target(std::move(target)) {
    if (::mount(source.c_str(), m_target.c_str(), type.c_str(), flags, data.c_str()) != 0) {
        throw_errno("mount " + source + " on " + m_target.string());
    }
}

mounted::~mounted() {
    if (::umount2(m_target.c_str(), MNT_DETACH) != 0) {
        std::fprintf(stderr, "%s stays mounted: %s\n", m_target.c_str(), std::strerror(errno));
    }
}

std::optional<int> run_program(std::string const& program, std::initializer_list<std::string> arguments) {
    std::vector<std::string> words{program};
    words.insert(words.end(), arguments);
    std::vector<char*> argv;
    for (std::string& word : words) {
        argv.push_back(word.data());
    }
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    if (::posix_spawn_file_actions_init(&actions) != 0) {
        return std::nullopt;
    }
    pid_t pid = 0;
    bool const started = ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
                         ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO) == 0 &&
                         ::posix_spawnp(&pid, program.c_str(), &actions, nullptr, argv.data(), ::environ) == 0;
    ::posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    if (!started || ::waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return std::nullopt;
    }
    return WEXITSTATUS(status);
}

} // namespace seedbed::test
