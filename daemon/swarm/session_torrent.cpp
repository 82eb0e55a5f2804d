#include "daemon/swarm/session_torrent.hpp"

#include <libtorrent/torrent_flags.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/libtorrent_types.hpp"

namespace seedbed {

namespace lt = libtorrent;

session_torrent::session_torrent(torrent_spec const& spec, torrent_listener& to)
    : listener(&to)
    , name(spec.name)
    , mode(spec.mode)
    , peers(spec.peers)
    , expected(spec.expected)
    , trackers(spec.trackers)
    , own_trackers(spec.torrent->info->trackers())
    , hash_before_serving(spec.hash_before_serving)
    , complete(spec.hash_before_serving)
    , super_seeding(spec.super_seeding)
    , upload_limit(spec.upload_limit)
    , on_report_port(spec.on_report_port) {}

void session_torrent::start(lt::torrent_handle const& with) {
    handle = with;
    added = true;
    // A reload may have changed these meanwhile.
    handle.set_upload_limit(to_limit(upload_limit));
    apply_super_seeding();
    connect_peers();
    if (trackers_changed) {
        replace_trackers();
    }
}

void session_torrent::connect_peers() const {
    for (auto const& peer : peers) {
        handle.connect_peer(to_tcp_endpoint(peer));
    }
}

void session_torrent::replace_trackers() const {
    auto all = own_trackers;
    for (auto const& url : trackers) {
        all.emplace_back(url);
    }
    handle.replace_trackers(all);
}

void session_torrent::apply_super_seeding() const {
    handle.set_flags(super_seeding ? lt::torrent_flags::super_seeding : lt::torrent_flags_t{},
                     lt::torrent_flags::super_seeding);
}

void session_torrent::log_tracker(std::string const& url, std::string const& failure) {
    auto const text = failure.empty() ? "" : "tracker " + url + ": " + failure;
    if (text == tracker_failure) {
        return;
    }
    tracker_failure = text;
    if (text.empty()) {
        log_info({name, {}, {}}, "tracker " + url + " works again");
    } else {
        log_warning({name, {}, {}}, text);
    }
}

void session_torrent::log_web_seed(std::string const& server, std::string const& failure) {
    auto text = "web seed " + server + ": " + failure;
    if (text != web_seed_failure) {
        log_warning({name, {}, {}}, text);
        web_seed_failure = std::move(text);
    }
}

torrent_progress session_torrent::take_progress(lt::torrent_status const& status) {
    auto progress = to_progress(status);
    auto const now = rate_meter::clock::now();
    progress.download_rate = download_rate.add(now, progress.downloaded);
    progress.upload_rate = upload_rate.add(now, progress.uploaded);
    return progress;
}

void session_torrent::apply_read_once(bool enabled) {
    read_once->store(enabled && !super_seeding, std::memory_order_relaxed);
}

} // namespace seedbed
