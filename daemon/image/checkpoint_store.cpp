#include "daemon/image/checkpoint_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/foundation/save_file.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

constexpr char const* default_folder = "/var/lib/seedbed";

result<void> replace_file(fs::path const& path, std::string const& text) {
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);
    if (failed) {
        return tl::unexpected(errno_error(path.parent_path().string(), failed.value()));
    }
    return save_file(path, text, true, 0600);
}

result<std::optional<std::string>> read_file(std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) {
            return std::nullopt;
        }
        return tl::unexpected(errno_error(path, errno));
    }
    std::string text;
    std::string buffer(64 << 10, '\0');
    while (true) {
        auto const count = ::read(fd.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return tl::unexpected(errno_error(path, errno));
        }
        if (count == 0) {
            return text;
        }
        text.append(buffer, 0, static_cast<std::size_t>(count));
        if (text.size() > largest_checkpoint) {
            return tl::unexpected(error{path + ": too large for a checkpoint"});
        }
    }
}

} // namespace

checkpoint_store::checkpoint_store(std::string folder, std::function<void(std::string const&)> warn)
    : m_folder(std::move(folder))
    , m_warn(std::move(warn)) {}

void checkpoint_store::set_folder(std::string folder) {
    std::scoped_lock const lock(m_mutex);
    if (folder != m_folder) {
        m_folder = std::move(folder);
        m_warned = false;
    }
}

std::string checkpoint_store::file_of(std::string const& device) const {
    std::scoped_lock const lock(m_mutex);
    // The end of the path is for people; the hash of the path makes the name unique.
    auto name = fs::path(device).filename().string().substr(0, 64);
    std::ranges::replace(name, '\n', '_');
    return (fs::path(m_folder) / (name + "-" + sha1_text(device).substr(0, 12) + ".resume")).string();
}

void checkpoint_store::save(checkpoint const& what) {
    auto const path = file_of(what.device);
    std::scoped_lock const lock(m_write_mutex);
    if (auto const written = replace_file(path, format_checkpoint(what)); !written) {
        // The existing checkpoint stays: it is older, but correct.
        warn_once(written.error().message);
    }
}

result<std::optional<checkpoint>> checkpoint_store::load(std::string const& device) const {
    auto const path = file_of(device);
    auto const text = read_file(path);
    if (!text) {
        return tl::unexpected(text.error());
    }
    if (!*text) {
        return std::nullopt;
    }
    auto found = parse_checkpoint(**text);
    if (!found) {
        return tl::unexpected(error{path + ": " + found.error().message});
    }
    return std::optional(std::move(*found));
}

void checkpoint_store::remove(std::string const& device) {
    auto const path = file_of(device);
    std::scoped_lock const lock(m_write_mutex);
    if (::unlink(path.c_str()) == 0) {
        if (auto const folder = fs::path(path).parent_path(); !sync_folder(folder)) {
            warn_once(errno_error(folder.string(), errno).message);
        }
    } else if (errno != ENOENT && errno != ENOTDIR) {
        warn_once(errno_error(path, errno).message);
    }
}

void checkpoint_store::warn_once(std::string const& reason) {
    {
        std::scoped_lock const lock(m_mutex);
        if (std::exchange(m_warned, true)) {
            return;
        }
    }
    m_warn(reason + ": deployments cannot be resumed");
}

std::string state_folder(std::string const& configured) {
    if (!configured.empty()) {
        return configured;
    }
    auto const* const named = std::getenv("STATE_DIRECTORY");
    std::string const folders = named != nullptr ? named : "";
    auto const first = folders.substr(0, folders.find(':')); // systemd separates several folders with colons
    return first.starts_with('/') ? first : default_folder;
}

} // namespace seedbed
