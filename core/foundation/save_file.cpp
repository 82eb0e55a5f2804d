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

/// A new file in the target's folder, so that it can be renamed to the target; removed at the end of the scope unless
/// it was renamed.
class temporary_file {
public:
    temporary_file(std::filesystem::path const& target, mode_t mode) {
        std::random_device random;
        do {
            m_path = target.parent_path() / (".seedbed-" + std::to_string(random()) + ".new");
            m_fd.reset(::open(m_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
        } while (!m_fd && errno == EEXIST);
    }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;
    ~temporary_file() {
        if (m_fd) {
            static_cast<void>(::unlink(m_path.c_str())); // ENOENT if it was renamed
        }
    }

    /// Negative, with errno set, if the file could not be created.
    [[nodiscard]] int fd() const noexcept { return m_fd.get(); }
    [[nodiscard]] char const* path() const noexcept { return m_path.c_str(); }

private:
    std::filesystem::path m_path;
    unique_fd m_fd;
};

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

result<void> save_file(std::filesystem::path const& path, std::string_view bytes, bool replace, mode_t mode) {
    auto const failed = [&](int code) { return tl::unexpected(errno_error(path.string(), code)); };
    if (auto checked = check_name(path, replace); !checked) {
        return checked;
    }
    temporary_file file(path, mode);
    if (file.fd() < 0 || !write_all(file.fd(), bytes) || ::fsync(file.fd()) != 0) {
        return failed(errno);
    }
    bool const named = replace ? ::rename(file.path(), path.c_str()) == 0 : rename_to_new(file.path(), path.c_str());
    if (!named) {
        return errno == EEXIST ? tl::unexpected(error{path.string() + ": already exists"}) : failed(errno);
    }
    if (!sync_folder(folder_of(path))) {
        return failed(errno);
    }
    return {};
}

} // namespace seedbed
