// Applies a changed configuration. A reload is a transaction: the files are read and everything is checked before
// anything changes.

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

#include "config/key.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/service/app.hpp"

namespace seedbed {

namespace {

/// An image's .torrent file as found by a reload.
struct changed_torrent {
    file_stamp stamp;
    result<loaded_torrent> loaded;
};

/// Reads a .torrent file if its stamp is no longer \p known. Blocks.
std::optional<changed_torrent> look_at_torrent(std::string const& file, file_stamp const& known,
                                               torrent_limits const& limits) {
    auto const stamp = stamp_of(file);
    if (stamp == known) {
        return std::nullopt;
    }
    return changed_torrent{stamp, load_served_torrent(file, limits, true)};
}

} // namespace

/// The data that a reload reads on a worker.
struct app::reload_input {
    result<settings, config_errors> outcome;
    std::map<std::string, changed_torrent> changed_torrents; ///< of running images, by name
};

void app::reload() {
    if (m_stopping) {
        return;
    }
    if (m_reloading) {
        m_reload_again = true;
        return;
    }
    m_reloading = true;
    m_reload_started = std::exchange(m_reload_requested, {});
    log_info({}, "reloading " + m_config_file.string());
    m_notify.reloading();

    std::map<std::string, std::pair<std::string, file_stamp>> torrents;
    for (auto const& [name, job] : m_images) {
        torrents[name] = {job->settings().torrent, job->torrent_stamp()};
    }
    torrent_limits limits;
    limits.file_size = m_node.in_force().memory.max_torrent;
    m_node.setup().submit(
        [this, limits, file = m_config_file, required = m_config_required, torrents = std::move(torrents)] {
            auto const input = std::make_shared<reload_input>(reload_input{load_settings(file, required), {}});
            for (auto const& [name, torrent] : torrents) {
                if (auto changed = look_at_torrent(torrent.first, torrent.second, limits)) {
                    input->changed_torrents.emplace(name, std::move(*changed));
                }
            }
            boost::asio::post(m_node.main(), [this, input] { on_reload_input(*input); });
        });
}

void app::request_reload(reload_receiver receive) {
    m_reload_requested.push_back(std::move(receive));
    if (m_stopping) {
        answer(m_reload_requested, {{"the daemon is stopping"}});
    }
    reload();
}

void app::answer(std::vector<reload_receiver>& receivers, reload_outcome const& outcome) {
    for (auto const& receive : std::exchange(receivers, {})) {
        receive(outcome);
    }
}

void app::on_reload_input(reload_input& input) {
    if (m_stopping) {
        return;
    }
    if (!input.outcome) {
        refuse_reload(input.outcome.error().lines);
        return;
    }
    auto& wanted = *input.outcome;
    auto with_running_shards = wanted.network;
    with_running_shards.shards = m_node.in_force().network.shards;
    if (auto const why = why_no_shards(with_running_shards)) {
        refuse_reload({fmt::format("network.listen: {} (with the present number of shards; changing it takes a "
                                   "restart)",
                                   *why)});
        return;
    }
    auto const plan = plan_reload(m_node.in_force(), look_at_images(input), wanted);
    apply(plan, std::move(wanted));
}

std::vector<running_image> app::look_at_images(reload_input const& input) {
    std::vector<running_image> running;
    for (auto const& [name, job] : m_images) {
        running_image image{job->settings(), job->state() == image_state::failed, false};
        auto const changed = input.changed_torrents.find(name);
        // An image that is being opened is reading its .torrent right now.
        if (changed != input.changed_torrents.end() && !image.failed && job->info_hash()) {
            auto const& [stamp, loaded] = changed->second;
            if (!loaded) {
                log_warning({name, {}, {}},
                            "cannot read " + loaded.error().message + "; still serving the torrent that is loaded");
            } else if (loaded->torrent.info_hash == *job->info_hash()) {
                job->set_torrent_file(stamp, loaded->file);
            } else {
                image.torrent_changed = true;
            }
        }
        running.push_back(std::move(image));
    }
    return running;
}

void app::refuse_reload(std::vector<std::string> const& errors) {
    for (auto const& line : errors) {
        log_error({}, line);
    }
    log_error({}, "reload: nothing was changed");
    answer(m_reload_started, {errors});
    finish_reload();
}

void app::apply(reload_plan const& plan, settings wanted) {
    if (!plan.needs_restart.empty()) {
        std::string keys;
        for (auto const& key : plan.needs_restart) {
            keys += (keys.empty() ? "" : ", ") + key;
        }
        log_warning({}, "reload: restart needed to change: " + keys);
    }
    if (plan.log_level) {
        set_log_level(wanted.log.level);
    }
    keep_restart_keys(m_node.in_force(), wanted);
    m_node.set_in_force(std::move(wanted));
    apply_memory(plan);
    apply_services(plan);
    apply_images(plan);
}

void app::apply_memory(reload_plan const& plan) {
    auto const& in_force = m_node.in_force();
    if (plan.memory) {
        m_node.apply_memory();
        auto const& [pool, cache] = std::pair(in_force.memory.pool, in_force.memory.cache);
        log_info(
            {}, fmt::format("reload: {} of memory for blocks, {}", format_byte_size(pool),
                            cache ? format_byte_size(*cache) + " of which may be cache" : "all of which may be cache"));
    }
    if (plan.hashing) {
        m_node.apply_hashing();
        log_info({}, fmt::format("reload: {} hash threads", hash_threads(in_force)));
    }
}

void app::apply_services(reload_plan const& plan) {
    auto const& in_force = m_node.in_force();
    if (plan.network) {
        m_node.swarm().apply(in_force.network);
    }
    if (plan.resume) {
        m_node.apply_checkpoint_folder();
        m_fleet_store.set_folder(state_folder(in_force.resume.folder));
        for (auto const& [name, job] : m_images) {
            job->apply_resume();
        }
    }
    if (plan.tracker || plan.network) {
        if (auto const opened = m_tracker.apply(in_force.tracker, in_force.network); !opened) {
            log_error({}, opened.error().message);
        }
    }
    if (plan.machines || plan.resume) {
        m_machines.apply(in_force, state_folder(in_force.resume.folder));
        log_info({}, fmt::format("reload: {} machine{}", in_force.machines.size(),
                                 in_force.machines.size() == 1 ? "" : "s"));
    }
    m_tracker.set_boot_folder(in_force.boot.files);
    m_history.apply(state_folder(in_force.resume.folder), static_cast<std::size_t>(in_force.history.limit));
    // Always, so that failed listeners are retried.
    m_control.apply(in_force.control, in_force.metrics, in_force.network.allow);
    m_web.apply(in_force.web, in_force.network.allow);
}

void app::apply_images(reload_plan const& plan) {
    if (plan.profiles) {
        for (auto const& [name, job] : m_images) {
            job->apply_profile();
        }
    }
    for (auto const& image : plan.update) {
        m_images.at(image.name).update(image);
    }
    sync_tracker();
    log_info({}, fmt::format("reload: {} image{} closed, {} opened, {} changed in use{}", plan.close.size(),
                             plan.close.size() == 1 ? "" : "s", plan.open.size(), plan.update.size(),
                             plan.empty() ? ": nothing differs" : ""));
    m_images.close(plan.close, [this, open = plan.open] {
        if (m_stopping) {
            return;
        }
        for (auto const& image : open) {
            open_image(image);
        }
        finish_reload();
    });
}

void app::finish_reload() {
    m_reloading = false;
    std::ranges::move(std::exchange(m_reload_started, {}), std::back_inserter(m_reload_applied));
    m_ready = false; // reported again once the new images are open
    report_ready();
    if (std::exchange(m_reload_again, false)) {
        reload();
    }
}

} // namespace seedbed
