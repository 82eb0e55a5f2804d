#include "daemon/image/checkpoint_store.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include <unistd.h>

#include "core/foundation/save_file.hpp"
#include "core/foundation/state_file.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

constexpr char const* default_folder = "/var/lib/seedbed";

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
    if (auto const written = save_state_file(path, format_checkpoint(what)); !written) {
        // The existing checkpoint stays: it is older, but correct.
        warn_once(written.error().message);
    }
}

result<std::optional<checkpoint>> checkpoint_store::load(std::string const& device) const {
    auto const path = file_of(device);
    auto const text = load_state_file(path, std::int64_t{largest_checkpoint});
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
