#include "daemon/http/unix_listener.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace seedbed {

namespace {

result<sockaddr_un> address_of(std::string const& path) {
    sockaddr_un address{};
    if (path.empty() || path.front() != '/' || path.size() >= sizeof(address.sun_path)) {
        return tl::unexpected(error{path + ": the path of a socket must be absolute and at most " +
                                    std::to_string(sizeof(address.sun_path) - 1) + " bytes long"});
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

sockaddr const* generic(sockaddr_un const& address) {
    return reinterpret_cast<sockaddr const*>(&address);
}

/// Fails unless \p path does not exist or is a socket without a listener.
result<void> check_free(std::string const& path, sockaddr_un const& address) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) {
        return errno == ENOENT ? result<void>{} : tl::unexpected(errno_error(path, errno));
    }
    if (!S_ISSOCK(found.st_mode)) {
        return tl::unexpected(error{path + ": exists and is not a socket"});
    }
    unique_fd const probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!probe) {
        return tl::unexpected(errno_error(path, errno));
    }
    // EAGAIN: there is a listener, and its queue is full.
    if (::connect(probe.get(), generic(address), sizeof(address)) == 0 || errno == EAGAIN || errno == EINPROGRESS) {
        return tl::unexpected(error{path + ": another program is listening on this socket"});
    }
    return errno == ECONNREFUSED || errno == ENOENT ? result<void>{} : tl::unexpected(errno_error(path, errno));
}

result<gid_t> group_id(std::string const& name) {
    std::vector<char> memory(16U << 10);
    group entry{};
    group* found = nullptr;
    int code = 0;
    while ((code = ::getgrnam_r(name.c_str(), &entry, memory.data(), memory.size(), &found)) == ERANGE) {
        memory.resize(2 * memory.size());
    }
    if (code != 0) {
        return tl::unexpected(errno_error("group " + name, code));
    }
    if (found == nullptr) {
        return tl::unexpected(error{"group " + name + " does not exist"});
    }
    return found->gr_gid;
}

} // namespace

result<unix_listener> unix_listener::open(std::string const& path, unsigned mode,
                                          std::optional<std::string> const& group) {
    auto const address = address_of(path);
    if (!address) {
        return tl::unexpected(address.error());
    }
    auto const free = check_free(path, *address);
    if (!free) {
        return tl::unexpected(free.error());
    }
    auto const made = path + "." + std::to_string(::getpid());
    auto const made_address = address_of(made);
    if (!made_address) {
        return tl::unexpected(made_address.error());
    }
    unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) {
        return tl::unexpected(errno_error(path, errno));
    }
    if (::unlink(made.c_str()) != 0 && errno != ENOENT) { // left by an earlier process with this process id
        return tl::unexpected(errno_error(made, errno));
    }
    if (::bind(fd.get(), generic(*made_address), sizeof(*made_address)) != 0) {
        return tl::unexpected(errno_error(path, errno));
    }
    auto const failed = [&made](error reason) {
        ::unlink(made.c_str()); // a name left behind does no harm
        return tl::unexpected(std::move(reason));
    };
    if (group) {
        auto const id = group_id(*group);
        if (!id) {
            return failed({path + ": " + id.error().message});
        }
        if (::chown(made.c_str(), static_cast<uid_t>(-1), *id) != 0) {
            return failed(errno_error(path + ": change group to " + *group, errno));
        }
    }
    struct stat own {};
    if (::chmod(made.c_str(), static_cast<mode_t>(mode)) != 0 || ::listen(fd.get(), SOMAXCONN) != 0 ||
        ::stat(made.c_str(), &own) != 0 || std::rename(made.c_str(), path.c_str()) != 0) {
        return failed(errno_error(path, errno));
    }
    return unix_listener(std::move(fd), path, own.st_dev, own.st_ino);
}

unix_listener::unix_listener(unique_fd fd, std::string path, dev_t device, ino_t inode)
    : m_fd(std::move(fd))
    , m_path(std::move(path))
    , m_device(device)
    , m_inode(inode) {}

unix_listener::unix_listener(unix_listener&& other) noexcept
    : m_fd(std::move(other.m_fd))
    , m_path(std::exchange(other.m_path, {}))
    , m_device(other.m_device)
    , m_inode(other.m_inode) {}

unix_listener::~unix_listener() {
    struct stat found {};
    if (!m_path.empty() && ::lstat(m_path.c_str(), &found) == 0 && found.st_dev == m_device &&
        found.st_ino == m_inode) {
        ::unlink(m_path.c_str()); // one left behind is replaced at the next start
    }
}

} // namespace seedbed
