#include "daemon/commands/image_config.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include "config/config_file.hpp"
#include "config/image_table_text.hpp"
#include "config/load.hpp"
#include "config/value_formats.hpp"
#include "core/foundation/save_file.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/commands/check_image.hpp"
#include "daemon/commands/command_start.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/status/status_document.hpp"

namespace seedbed {

namespace {

/// For opening the images of a large configuration.
constexpr std::chrono::minutes reload_time{5};
constexpr std::chrono::seconds status_time{10};

image_change failed(exit_code code, std::string line) {
    return {code, {std::move(line)}};
}

std::filesystem::path file_of(config_location const& config, std::string const& name) {
    return images_folder(config.file) / (name + ".toml");
}

/// Checks an image that the configuration holds, and that no other image has its torrent.
result<std::string> check_added(settings const& wanted, image_settings const& added) {
    checked_torrents torrents;
    torrent_limits limits;
    limits.file_size = wanted.memory.max_torrent;
    for (auto const& other : wanted.images) {
        auto const torrent = &other == &added ? std::nullopt : std::optional(load_any_torrent(other.torrent, limits));
        if (torrent && *torrent) {
            torrents.try_emplace((*torrent)->info_hash, &other);
        }
    }
    return check_image(added, wanted, torrents);
}

/// The packed file beside a .torrent.
result<std::string> device_beside(std::string const& torrent_file, std::int64_t max_torrent) {
    torrent_limits limits;
    limits.file_size = max_torrent;
    auto const torrent = load_any_torrent(torrent_file, limits);
    if (!torrent) {
        return tl::unexpected(torrent.error());
    }
    if (!torrent->packed) {
        return tl::unexpected(
            error{torrent_file + ": describes a raw image; add the DEVICE or the file that holds it"});
    }
    return (std::filesystem::path(torrent_file).parent_path() / torrent->name).string();
}

/// Why the running daemon does not serve an image after a reload; nothing if it does or if that is unknown.
std::optional<std::string> why_not_served(std::string const& socket, std::string const& name) {
    auto const document = ask_daemon(socket, "/status", status_time);
    auto const snapshot = document ? parse_status_document(*document) : tl::unexpected(document.error());
    if (!snapshot) {
        return std::nullopt;
    }
    auto const found = std::ranges::find(snapshot->images, name, [](auto const& each) { return each.status.name; });
    if (found == snapshot->images.end()) {
        return "the daemon at " + socket + " uses another configuration: was it started with another --config?";
    }
    auto const& status = found->status;
    return status.state == image_state::failed ? std::optional(status.failure) : std::nullopt;
}

/// Has the daemon reload. \param name of the image that it should serve afterwards; empty: none.
/// \return the refusal if nothing has changed in the daemon, otherwise lines on what has.
image_change reload_daemon(std::string const& socket, std::string const& name) {
    if (socket.empty()) {
        return {exit_ok, {"the daemon has no control socket; apply this with 'systemctl reload seedbed'"}};
    }
    auto const outcome = ask_for_reload(socket, reload_time);
    if (!outcome) {
        return failed(exit_failed, outcome.error().message);
    }
    if (!*outcome) {
        return {exit_ok, {"no daemon is running here; start it with 'systemctl start seedbed'"}};
    }
    if (!(*outcome)->errors.empty()) {
        return {exit_refused, (*outcome)->errors};
    }
    auto const why = name.empty() ? std::nullopt : why_not_served(socket, name);
    return why ? failed(exit_refused, *why) : image_change{};
}

result<void> remove_file(std::filesystem::path const& file) {
    if (::unlink(file.c_str()) != 0) {
        return tl::unexpected(errno_error(file.string(), errno));
    }
    return sync_folder(file.parent_path()) ? result<void>()
                                           : tl::unexpected(errno_error(file.parent_path().string(), errno));
}

/// Creates the folder for images if only that is missing.
result<void> prepare_images_folder(std::filesystem::path const& folder) {
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
        return tl::unexpected(errno_error(folder.string(), errno));
    }
    return {};
}

image_change take_back(std::filesystem::path const& file, std::string const& socket, image_change reload) {
    if (auto const removed = remove_file(file); !removed) {
        reload.lines.push_back(removed.error().message + "; remove it");
        return reload;
    }
    // The daemon may have applied it, and failed to open the image.
    if (auto const reloaded = ask_for_reload(socket, reload_time); !reloaded) {
        reload.lines.push_back(reloaded.error().message);
    }
    reload.lines.push_back("nothing was changed: " + file.string() + " was removed again");
    return reload;
}

} // namespace

config_location locate_config(std::string const& config) {
    if (config.empty()) {
        return {default_config, false};
    }
    std::error_code ignored; // then the file is not found
    return {std::filesystem::absolute(config, ignored), true};
}

image_change check_new_name(config_location const& config, std::string const& name) {
    if (auto const wrong = check_name_of_image(name)) {
        return failed(exit_usage, wrong->message);
    }
    if (name.starts_with('.')) {
        return failed(exit_usage, "'" + name + "' starts with a dot: the daemon skips hidden files");
    }
    auto const current = load_settings(config.file, config.required);
    if (!current) {
        return {exit_usage, current.error().lines};
    }
    auto const same = std::ranges::find(current->images, name, &image_settings::name);
    if (same != current->images.end()) {
        return failed(exit_refused, "image '" + name + "' already exists: " + same->origin);
    }
    auto const file = file_of(config, name);
    if (auto const prepared = prepare_images_folder(file.parent_path()); !prepared) {
        return failed(exit_failed, prepared.error().message);
    }
    auto const possible = check_can_save(file, false);
    return possible ? image_change{} : failed(exit_failed, possible.error().message);
}

image_change add_image(config_location const& config, image_to_add image) {
    if (auto checked = check_new_name(config, image.name); checked.code != exit_ok) {
        return checked;
    }
    auto const current = load_settings(config.file, config.required);
    if (!current) {
        return {exit_usage, current.error().lines};
    }
    if (image.device.empty()) {
        auto const beside = device_beside(image.torrent, current->memory.max_torrent);
        if (!beside) {
            return failed(exit_refused, beside.error().message);
        }
        image.device = *beside;
    }
    auto const file = file_of(config, image.name);
    auto const text = image_table_text(image.name, image.torrent, stable_device_name(image.device));
    auto const wanted = load_changed_settings(config.file, config.required, {file, text});
    if (!wanted) {
        return {exit_refused, wanted.error().lines};
    }
    auto const& added = *std::ranges::find(wanted->images, image.name, &image_settings::name);
    auto const checked = check_added(*wanted, added);
    if (!checked) {
        return failed(exit_refused, image.name + ": would fail: " + checked.error().message);
    }
    if (auto const saved = save_file(file, text, false); !saved) {
        return failed(exit_failed, saved.error().message);
    }
    auto reload = reload_daemon(wanted->control.socket, image.name);
    if (reload.code == exit_refused) {
        return take_back(file, wanted->control.socket, std::move(reload));
    }
    reload.lines.insert(reload.lines.begin(), {image.name + ": " + *checked, "wrote " + file.string()});
    return reload;
}

image_change remove_image(config_location const& config, std::string const& name) {
    auto const current = load_settings(config.file, config.required);
    if (!current) {
        return {exit_usage, current.error().lines};
    }
    auto const found = std::ranges::find(current->images, name, &image_settings::name);
    if (found == current->images.end()) {
        std::vector<std::string> names;
        std::ranges::transform(current->images, std::back_inserter(names), &image_settings::name);
        return failed(exit_refused, "there is no image '" + name + "'" + did_you_mean(name, names));
    }
    auto const file = file_of(config, name);
    auto const in_file = [&file](image_settings const& each) { return each.origin.starts_with(file.string() + ":"); };
    if (!in_file(*found) || std::ranges::count_if(current->images, in_file) != 1) {
        return failed(exit_refused, found->origin + ": image '" + name +
                                        "' shares its file with other tables; remove its table there, and run "
                                        "'systemctl reload seedbed'");
    }
    auto const text = read_config_file(file);
    if (!text) {
        return failed(exit_failed, text.error().message);
    }
    if (auto const wanted = load_changed_settings(config.file, config.required, {file, {}}); !wanted) {
        return {exit_refused, wanted.error().lines};
    }
    if (auto const removed = remove_file(file); !removed) {
        return failed(exit_failed, removed.error().message);
    }
    auto reload = reload_daemon(current->control.socket, {});
    if (reload.code == exit_refused) {
        auto const restored = save_file(file, *text, false);
        reload.lines.push_back(restored ? "nothing was changed: " + file.string() + " was restored"
                                        : restored.error().message);
        return reload;
    }
    reload.lines.insert(reload.lines.begin(), "removed " + file.string());
    return reload;
}

} // namespace seedbed
