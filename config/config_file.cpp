#include "config/config_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t max_size = 16LL << 20;

/// Reads to the end of the file, even past its initial size: an editor may be writing it.
result<std::string> read_to_end(int fd, std::filesystem::path const& path) {
    std::string text;
    std::string buffer(64 << 10, '\0');
    while (static_cast<std::int64_t>(text.size()) <= max_size) {
        auto const got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return tl::unexpected(errno_error(path.string(), errno));
        }
        if (got == 0) {
            return text;
        }
        text.append(buffer, 0, static_cast<std::size_t>(got));
    }
    return tl::unexpected(error{path.string() + ": larger than the limit of " + format_byte_size(max_size)});
}

} // namespace

result<std::string> read_config_file(std::filesystem::path const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    struct stat status {};
    if (!fd || ::fstat(fd.get(), &status) != 0) {
        return tl::unexpected(errno_error(path.string(), errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return tl::unexpected(error{path.string() + ": not a regular file"});
    }
    return read_to_end(fd.get(), path);
}

bool is_missing(std::filesystem::path const& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) != 0 && errno == ENOENT;
}

result<std::vector<std::filesystem::path>> list_toml_files(std::filesystem::path const& folder) {
    std::vector<std::filesystem::path> files;
    if (is_missing(folder)) {
        return files;
    }
    std::error_code failed;
    std::filesystem::directory_iterator entry(folder, failed);
    while (!failed && entry != std::filesystem::directory_iterator()) {
        auto const name = entry->path().filename().string();
        if (name.ends_with(".toml") && !name.starts_with('.')) {
            files.push_back(entry->path());
        }
        entry.increment(failed);
    }
    if (failed) {
        return tl::unexpected(errno_error(folder.string(), failed.value()));
    }
    std::sort(files.begin(), files.end(), [](auto const& a, auto const& b) { return a.native() < b.native(); });
    return files;
}

} // namespace seedbed
