#include "core/image/torrent_file.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <random>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libtorrent/bencode.hpp>
#include <libtorrent/create_torrent.hpp>
#include <libtorrent/entry.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>

#include "core/foundation/unique_fd.hpp"
#include "core/image/hex_number.hpp"

namespace seedbed {

namespace {

/// libtorrent shortens longer ones.
constexpr std::size_t max_component_length = 239;

torrent_bytes make_with_libtorrent(extent_map const& extents, std::vector<sha1_digest> const& hashes,
                                   torrent_details const& details) {
    lt::file_storage files;
    files.reserve(static_cast<int>(extents.extents().size()));
    for (auto const& e : extents.extents()) {
        files.add_file(details.name + "/" + to_hex_offset(e.device_offset), e.length);
    }
    lt::create_torrent torrent(files, details.piece_length, lt::create_torrent::v1_only);
    for (auto const piece : torrent.piece_range()) {
        torrent.set_hash(piece, lt::sha1_hash(hashes[static_cast<std::size_t>(static_cast<int>(piece))].data()));
    }
    torrent.set_creator(details.creator.c_str());
    torrent.set_creation_date(0); // leaves the key out
    torrent.set_priv(details.is_private);
    int tier = 0;
    for (auto const& url : details.trackers) {
        torrent.add_tracker(url, tier++);
    }
    auto const root = torrent.generate();
    torrent_bytes made;
    lt::bencode(std::back_inserter(made.bytes), root);
    std::string info;
    lt::bencode(std::back_inserter(info), root["info"]);
    auto const hash = lt::hasher(info).final();
    made.info_hash = to_hex({hash.data(), hash.size()});
    return made;
}

/// A new file in the folder of another, so that it can be renamed to it; whatever still has its name when the scope
/// ends is removed.
class temporary_file {
public:
    explicit temporary_file(std::filesystem::path const& target) {
        std::random_device random;
        do {
            m_path = target.parent_path() / (".seedbed-" + std::to_string(random()) + ".new");
            m_fd.reset(::open(m_path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        } while (!m_fd && errno == EEXIST);
    }
    temporary_file(temporary_file const&) = delete;
    temporary_file& operator=(temporary_file const&) = delete;
    ~temporary_file() {
        if (m_fd) {
            static_cast<void>(::unlink(m_path.c_str())); // ENOENT where it was renamed
        }
    }

    /// Negative, with errno set, where the file could not be made.
    [[nodiscard]] int fd() const noexcept { return m_fd.get(); }
    [[nodiscard]] char const* path() const noexcept { return m_path.c_str(); }

private:
    std::filesystem::path m_path;
    unique_fd m_fd;
};

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

/// Renames without ever replacing: errno EEXIST. Where the file system cannot do that in one step (NFS, for example), a
/// second link does the same.
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

/// Makes the names in a folder durable.
bool sync_folder(std::filesystem::path const& folder) {
    unique_fd const fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return fd && ::fsync(fd.get()) == 0;
}

} // namespace

result<void> check_image_name(std::string_view name) {
    auto const refuse = [&](char const* reason) {
        return tl::unexpected(error{"image name '" + std::string(name) + "' " + reason});
    };
    if (name.empty()) {
        return tl::unexpected(error{"the image name is empty"});
    }
    for (char const c : name) {
        if (c < 0x20 || c > 0x7e) {
            return tl::unexpected(error{"the image name holds a character that is not printable ASCII"});
        }
        if (c == '\\') {
            return refuse("holds a backslash");
        }
    }
    if (name.front() == '/') {
        return refuse("starts with a slash");
    }
    for (std::size_t begin = 0; begin <= name.size();) {
        auto const end = std::min(name.find('/', begin), name.size());
        auto const component = name.substr(begin, end - begin);
        if (component.empty() || component == "." || component == "..") {
            return refuse("holds an empty component, '.' or '..'");
        }
        if (component.size() > max_component_length) {
            return refuse("holds a component of more than 239 bytes");
        }
        begin = end + 1;
    }
    return {};
}

result<torrent_bytes> make_torrent(extent_map const& extents, std::vector<sha1_digest> const& hashes,
                                   torrent_details const& details) {
    if (auto const name = check_image_name(details.name); !name) {
        return tl::unexpected(name.error());
    }
    if (details.piece_length <= 0) {
        return tl::unexpected(error{"a piece length of " + std::to_string(details.piece_length)});
    }
    auto const pieces = (extents.total_size() - 1) / details.piece_length + 1;
    if (pieces != static_cast<std::int64_t>(hashes.size())) {
        return tl::unexpected(
            error{std::to_string(hashes.size()) + " hashes for " + std::to_string(pieces) + " pieces"});
    }
    try {
        return make_with_libtorrent(extents, hashes, details);
    } catch (lt::system_error const& e) {
        return tl::unexpected(error{"libtorrent cannot make the torrent: " + e.code().message()});
    }
}

namespace {

/// Whether there may be a new file of this name.
result<void> check_name(std::filesystem::path const& path, bool replace) {
    if (!path.has_filename()) {
        return tl::unexpected(error{"'" + path.string() + "' is not the name of a file"});
    }
    struct stat status {};
    if (::lstat(path.c_str(), &status) == 0) {
        if (!replace) {
            return tl::unexpected(error{path.string() + ": exists already"});
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

result<void> check_can_save(std::filesystem::path const& path, bool replace) {
    if (auto const checked = check_name(path, replace); !checked) {
        return checked;
    }
    if (::faccessat(AT_FDCWD, folder_of(path).c_str(), W_OK | X_OK, AT_EACCESS) != 0) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    return {};
}

result<void> save_torrent(std::filesystem::path const& path, std::string_view bytes, bool replace) {
    auto const failed = [&](int code) { return tl::unexpected(errno_error(path.string(), code)); };
    if (auto const checked = check_name(path, replace); !checked) {
        return checked;
    }
    temporary_file file(path);
    if (file.fd() < 0 || !write_all(file.fd(), bytes) || ::fsync(file.fd()) != 0) {
        return failed(errno);
    }
    bool const named = replace ? ::rename(file.path(), path.c_str()) == 0 : rename_to_new(file.path(), path.c_str());
    if (!named) {
        return errno == EEXIST ? tl::unexpected(error{path.string() + ": exists already"}) : failed(errno);
    }
    if (!sync_folder(folder_of(path))) {
        return failed(errno);
    }
    return {};
}

} // namespace seedbed
