#include "daemon/fleet/fleet_watch.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

#include "core/foundation/format_count.hpp"
#include "core/foundation/wall_clock.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

/// Requests for peers after a connection: before the handshake it is not yet a peer, and that may take longer than one
/// request.
constexpr int looks_at_new = 3;
/// Hosts restored from a record before the main thread does other work: less than a millisecond.
constexpr std::size_t restored_at_once = 256;
constexpr char const* unrestored = "cannot restore the counts of hosts: ";
/// Minimum time between two records of one image. The first change is saved immediately.
constexpr std::chrono::seconds save_interval{1};

} // namespace

fleet_watch::fleet_watch(boost::asio::io_context& context,
                         std::function<void(std::string const&, peers_handler)> request_peers, fleet_store* store,
                         std::chrono::milliseconds look_interval)
    : m_request_peers(std::move(request_peers))
    , m_look_interval(look_interval)
    , m_store(store)
    , m_timer(context)
    , m_save_timer(context)
    , m_hooks(context) {}

void fleet_watch::set_images(std::vector<image> const& images, std::size_t limit) {
    std::erase_if(m_followed, [&](auto const& known) {
        return std::ranges::none_of(images, [&](image const& each) {
            return each.name == known.first &&
                   (each.hashes.empty() || each.hashes.front() == known.second.now.hashes.front());
        });
    });
    for (auto const& each : images) {
        if (each.hashes.empty()) {
            if (auto const known = m_followed.find(each.name); known != m_followed.end()) {
                known->second.now.in_swarm = false;
            }
            continue;
        }
        auto const [at, added] =
            m_followed.try_emplace(each.name, followed{each, fleet(each.total_bytes, each.settings, limit)});
        at->second.hosts.set_takes_reports(each.takes_reports);
        at->second.hosts.set_reports_only(each.reports_only);
        if (!added) {
            at->second.now = each;
            at->second.hosts.set_settings(each.settings, limit, fleet::clock::now());
            after_change(at->second);
        } else {
            load(at->second);
        }
    }
}

fleet_watch::followed* fleet_watch::find_hash(info_hash const& hash) {
    for (auto& [name, each] : m_followed) {
        if (std::ranges::find(each.now.hashes, hash) != each.now.hashes.end()) {
            return &each;
        }
    }
    return nullptr;
}

fleet_watch::followed* fleet_watch::find_image(std::string const& name, info_hash const& hash) {
    auto const at = m_followed.find(name);
    return at == m_followed.end() || at->second.now.hashes.front() != hash ? nullptr : &at->second;
}

void fleet_watch::on_announce(announcement const& said, fleet::clock::duration patience) {
    if (auto* const which = find_hash(said.info_hash)) {
        which->hosts.on_announce(said, patience, fleet::clock::now());
        after_change(*which);
    }
}

fleet_watch::image const* fleet_watch::on_report(info_hash const& hash, host_report const& report) {
    auto* const which = find_hash(hash);
    if (which != nullptr) {
        which->hosts.on_report(report, fleet::clock::now());
        after_change(*which);
    }
    return which != nullptr ? &which->now : nullptr;
}

void fleet_watch::wake() {
    m_looks = looks_at_new;
    keep_looking();
}

void fleet_watch::keep_looking() {
    if (!m_armed && !m_stopped && !m_followed.empty()) {
        arm();
    }
}

void fleet_watch::stop() {
    m_stopped = true;
    m_timer.cancel();
    m_save_timer.cancel();
    m_hooks.stop();
    for (auto& [name, each] : m_followed) {
        save(each);
    }
}

void fleet_watch::load(followed& which) {
    if (m_store == nullptr) {
        return;
    }
    auto const& hash = which.now.hashes.front();
    m_store->load(which.now.name, hash,
                  [this, alive = std::weak_ptr(m_alive), name = which.now.name, hash](auto const& record) {
                      if (!alive.expired()) {
                          on_loaded(name, hash, record);
                      }
                  });
}

void fleet_watch::on_loaded(std::string const& name, info_hash const& hash,
                            result<std::shared_ptr<saved_fleet const>> const& record) {
    auto* const which = find_image(name, hash);
    if (which == nullptr || which->restored || which->hosts.is_restoring()) {
        return;
    }
    if (!record) {
        log_warning({name, {}, {}}, unrestored + record.error().message);
    }
    if (!record || *record == nullptr) {
        which->restored = true;
        after_change(*which);
        return;
    }
    which->hosts.begin_restore(*record, fleet::clock::now(), wall_clock_now());
    restore_some(name, hash, (*record)->damaged);
}

void fleet_watch::restore_some(std::string const& name, info_hash const& hash, std::size_t damaged) {
    auto* const which = find_image(name, hash);
    if (which == nullptr || !which->hosts.is_restoring()) {
        return;
    }
    if (which->hosts.restore_some(restored_at_once)) {
        boost::asio::post(m_timer.get_executor(), [this, alive = std::weak_ptr(m_alive), name, hash, damaged] {
            if (!alive.expired()) {
                restore_some(name, hash, damaged);
            }
        });
        return;
    }
    which->restored = true;
    if (auto const complete = which->hosts.complete(); complete > 0) {
        log_info({name, {}, {}}, format_count(complete, "host") + " complete before the restart");
    }
    if (damaged > 0) {
        log_warning({name, {}, {}},
                    unrestored + m_store->file_of(name, hash) + ": " + format_count(damaged, "host") + " damaged");
    }
    after_change(*which);
}

void fleet_watch::save(followed& which) {
    if (m_store == nullptr || !which.restored || !which.unsaved) {
        return;
    }
    auto const now = fleet::clock::now();
    if (!m_stopped && which.saved != fleet::clock::time_point::min() && now - which.saved < save_interval) {
        if (!std::exchange(m_save_armed, true)) {
            m_save_timer.expires_after(save_interval);
            m_save_timer.async_wait([this](boost::system::error_code const& ec) {
                if (!ec) {
                    m_save_armed = false;
                    for (auto& [name, each] : m_followed) {
                        save(each);
                    }
                }
            });
        }
        return;
    }
    which.unsaved = false;
    which.saved = now;
    m_store->save(which.now.name, which.now.hashes.front(),
                  [saved = which.hosts.record(now, wall_clock_now())] { return saved.text(); });
}

fleet const* fleet_watch::find(std::string const& name) const {
    auto const at = m_followed.find(name);
    return at == m_followed.end() ? nullptr : &at->second.hosts;
}

std::shared_ptr<fleet_status const> fleet_watch::status(std::string const& name) const {
    auto const* const hosts = find(name);
    return hosts == nullptr
               ? nullptr
               : std::make_shared<fleet_status const>(hosts->status(fleet::clock::now(), wall_clock_now()));
}

void fleet_watch::arm() {
    m_armed = true;
    m_timer.expires_after(m_look_interval);
    m_timer.async_wait([this](boost::system::error_code const& ec) {
        if (!ec) {
            m_armed = false;
            on_timer();
        }
    });
}

void fleet_watch::on_timer() {
    auto again = --m_looks > 0;
    for (auto& [name, which] : m_followed) {
        if (which.now.in_swarm) {
            m_request_peers(name,
                            [this, alive = std::weak_ptr(m_alive), name = name](std::vector<peer_status> const& peers) {
                                auto const at = alive.expired() ? m_followed.end() : m_followed.find(name);
                                if (alive.expired() || at == m_followed.end()) {
                                    return;
                                }
                                at->second.connected = peers.size();
                                at->second.hosts.on_peers(peers, fleet::clock::now());
                                after_change(at->second);
                            });
        }
        which.hosts.on_tick(fleet::clock::now());
        after_change(which);
        again = again || which.hosts.is_moving() || which.connected > 0;
    }
    if (again) {
        keep_looking();
    }
}

void fleet_watch::after_change(followed& which) {
    for (auto const& line : which.hosts.take_lines()) {
        log(line.level, {which.now.name, {}, line.peer}, line.text);
    }
    which.unsaved = which.hosts.take_changed() || which.unsaved;
    save(which);
    if (which.hosts.take_completed() && !which.now.settings.on_complete.empty() && !m_stopped) {
        run_hook(which);
    }
    if (which.hosts.is_moving()) {
        keep_looking();
    }
}

void fleet_watch::run_hook(followed const& which) {
    auto const& settings = which.now.settings;
    auto const document =
        which.hosts.document(which.now.name, which.now.hashes.front(), fleet::clock::now(), wall_clock_now());
    log_info({which.now.name, {}, {}}, "running " + settings.on_complete.front());
    m_hooks.run(
        settings.on_complete, document, settings.on_complete_timeout,
        [name = which.now.name, program = settings.on_complete.front()](hook_outcome const& outcome) {
            if (!outcome.unconfined.empty()) {
                log_warning({name, {}, {}}, program + " was able to open disks: " + outcome.unconfined);
            }
            log(outcome.ok() ? log_level::info : log_level::error, {name, {}, {}}, program + ": " + outcome.text());
        });
}

} // namespace seedbed
