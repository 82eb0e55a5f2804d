#include "core/foundation/save_file.hpp"

#include <cerrno>
#include <cstdio>
#include <random>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// Renames without replacing: fails with EEXIST if \p to exists. If the file system cannot do that in one step (NFS,
/// for example), creates a second link instead.
bool rename_to_new(char const* from, char const* to) {
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) {
        return true;
    }
    if (errno != EINVAL && errno != ENOSYS) {
        return false;
    }
    return ::link(from, to) == 0;
}

std::filesystem::path folder_of(std::filesystem::path const& path) {
    return path.has_parent_path() ? path.parent_path() : ".";
}

/// Whether a new file may be saved under this name.
result<void> check_name(std::filesystem::path const& path, bool replace) {
    if (!path.has_filename()) {
        return tl::unexpected(error{"'" + path.string() + "' is not the name of a file"});
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) {
        if (!replace) {
            return tl::unexpected(error{path.string() + ": already exists"});
        }
        if (!S_ISREG(status.st_mode)) {
            return tl::unexpected(error{path.string() + ": not a regular file, so it is not replaced"});
        }
    } else if (errno != ENOENT) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    return {};
}

} // namespace

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        auto const written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written == 0) {
            errno = EIO; // no progress, and no reason given
            return false;
        }
        bytes.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
    }
    return true;
}

bool sync_folder(std::filesystem::path const& folder) {
    unique_fd const fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && ::fsync(fd.get()) == 0;
}

result<void> check_can_save(std::filesystem::path const& path, bool replace) {
    if (auto checked = check_name(path, replace); !checked) {
        return checked;
    }
    if (::faccessat(AT_FDCWD, folder_of(path).c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    return {};
}

result<pending_file> pending_file::create(std::filesystem::path const& path, bool replace, mode_t mode) {
    if (auto checked = check_name(path, replace); !checked) {
        return tl::unexpected(std::move(checked.error()));
    }
    pending_file file(path, replace);
    std::random_device random;
    do {
        file.m_temporary = path.parent_path() / (".seedbed-" + std::to_string(random()) + ".new");
        file.m_fd.reset(::open(file.m_temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    } while (!file.m_fd && errno == EEXIST);
    if (!file.m_fd) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    return file;
}

pending_file::~pending_file() {
    if (m_fd) {
        static_cast<void>(::unlink(m_temporary.c_str())); // ENOENT if it was renamed
    }
}

result<void> pending_file::flush() {
    if (::fsync(m_fd.get()) != 0) {
        return tl::unexpected(errno_error(m_path.string(), errno));
    }
    return {};
}

result<void> pending_file::save() {
    bool const named = m_replace ? ::rename(m_temporary.c_str(), m_path.c_str()) == 0
                                 : rename_to_new(m_temporary.c_str(), m_path.c_str());
    if (!named) {
        return errno == EEXIST ? tl::unexpected(error{m_path.string() + ": already exists"})
                               : tl::unexpected(errno_error(m_path.string(), errno));
    }
    if (!sync_folder(folder_of(m_path))) {
        return tl::unexpected(errno_error(m_path.string(), errno));
    }
    return {};
}

result<void> save_file(std::filesystem::path const& path, std::string_view bytes, bool replace, mode_t mode) {
    auto file = pending_file::create(path, replace, mode);
    if (!file) {
        return tl::unexpected(std::move(file.error()));
    }
    if (!write_all(file->fd(), bytes)) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    if (auto flushed = file->flush(); !flushed) {
        return flushed;
    }
    return file->save();
}

} // namespace seedbed
