#include "daemon/swarm/session_core.hpp"

#include <pthread.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <libtorrent/extensions.hpp>
#include <libtorrent/extensions/ut_metadata.hpp>
#include <libtorrent/extensions/ut_pex.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/torrent_flags.hpp>
#include <libtorrent/torrent_info.hpp>

#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/ahead_extension.hpp"
#include "daemon/swarm/ban_extension.hpp"
#include "daemon/swarm/libtorrent_types.hpp"
#include "daemon/swarm/neighbour_extension.hpp"
#include "daemon/swarm/network_clock.hpp"
#include "daemon/swarm/prompt_extension.hpp"
#include "daemon/swarm/read_once_extension.hpp"
#include "daemon/swarm/record_extension.hpp"
#include "daemon/swarm/report_extension.hpp"
#include "daemon/swarm/retry_extension.hpp"
#include "daemon/swarm/secret_extension.hpp"
#include "daemon/swarm/session_settings.hpp"
#include "daemon/swarm/withdrawal_extension.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// Names the network thread, which calls added().
class thread_namer final : public lt::plugin {
public:
    explicit thread_namer(std::string name)
        : m_name(std::move(name)) {}
    void added(lt::session_handle const&) override {
        // An unnamed thread is not worth failing for.
        static_cast<void>(pthread_setname_np(pthread_self(), m_name.c_str()));
    }

private:
    std::string const m_name;
};

void add_extension(lt::add_torrent_params& params, std::shared_ptr<lt::torrent_plugin> extension) {
    params.extensions.emplace_back([extension = std::move(extension)](auto const&, auto) { return extension; });
}

} // namespace

session_core::session_core(boost::asio::io_context& main_context, std::shared_ptr<backend> shared_backend,
                           session_options wanted)
    : main(main_context)
    , shared(std::move(shared_backend))
    , own(std::move(wanted))
    , room(make_session_room(own.network.connections, own.patience)) {}

void session_core::open() {
    use_steady_network_clock();
    // Without libtorrent's smart_ban: it bans a peer without an alert once a piece that it had damaged is repaired.
    lt::session_params params(make_session_settings(own.network, own.queued_bytes), {});
    params.disk_io_constructor = [of = shared, room = room](lt::io_context& context,
                                                            lt::settings_interface const& settings,
                                                            lt::counters& counters) {
        use_network(*room, context);
        return make_disk_io(of, context, settings, counters);
    };
    session = std::make_unique<lt::session>(std::move(params));
    session->add_extension(std::make_shared<thread_namer>(own.thread));
    session->add_extension(&lt::create_ut_pex_plugin);
    session->add_extension(&lt::create_ut_metadata_plugin);
    session->set_ip_filter(make_peer_filter(own.network.allow, own_addresses()));
    session->set_peer_class_filter(global_limits_for_all());
    session->set_alert_notify([weak = weak_from_this()] {
        if (auto const self = weak.lock()) {
            self->wake();
        }
    });
    session->post_session_stats(); // the answer settles `listeners`
}

lt::add_torrent_params session_core::make_params(id which, torrent_spec const& spec) const {
    lt::add_torrent_params params;
    params.ti = spec.torrent->info;
    params.save_path = "/"; // libtorrent requires one; the backend finds the device by the info-hash
    params.trackers = spec.trackers;
    params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter;
    params.upload_limit = to_limit(spec.upload_limit);
    if (spec.mode == image_mode::seed) {
        // Keeps libtorrent from requesting pieces that turn out to be missing from the source.
        params.flags |= lt::torrent_flags::upload_mode;
    }
    if (spec.super_seeding) {
        params.flags |= lt::torrent_flags::super_seeding;
    }
    if (spec.hash_before_serving) {
        params.flags |= lt::torrent_flags::seed_mode;
    } else if (spec.pieces) {
        params.have_pieces = to_bitfield(*spec.pieces); // libtorrent and our disk_io trust them
    }
    // libtorrent passes a number through as a pointer. NOLINTNEXTLINE(performance-no-int-to-ptr)
    params.userdata = lt::client_data_t(reinterpret_cast<void*>(static_cast<std::uintptr_t>(which)));
    return params;
}

void session_core::add_extensions(lt::add_torrent_params& params, id which, torrent_spec const& spec,
                                  torrent_sharding shards) {
    auto const on_report = [](session_torrent const& torrent, lt::tcp::endpoint const& peer) {
        if (torrent.on_report_port) {
            torrent.on_report_port(peer);
        }
    };
    add_extension(params, make_report_extension(spec.report_port, own.own_ports, on_main(which, on_report)));
    if (shards.places) {
        add_extension(params, make_shard_gate(std::move(shards.places), own.shard, std::move(shards.on_refused)));
    } else if (spec.mode == image_mode::deploy) {
        auto const on_referred = [](session_torrent const& torrent, lt::tcp::endpoint const& shard) {
            if (torrent.accepts_peers()) {
                torrent.handle.connect_peer(shard);
            }
        };
        add_extension(params, make_shard_guest(on_main(which, on_referred)));
    }
    if (spec.secret) {
        auto const on_stranger = [](session_torrent const& torrent, lt::tcp::endpoint const& peer, secret_refusal why,
                                    std::string const& note) {
            auto const unknown = why == secret_refusal::no_proof;
            log_warning({torrent.name, {}, peer.address().to_string()},
                        "refused peer " + to_text(peer) +
                            (unknown ? ": it does not know the secret"
                                     : ": its proof is wrong (another secret, or address translation in between)") +
                            note);
        };
        add_extension(params, make_secret_extension(spec.secret, spec.torrent->info_hash, spec.secret_patience,
                                                    on_main(which, on_stranger)));
    }
    add_extension(params, make_ban_extension(torrents.at(which).banned));
    // After these: a refused peer must not keep a place or reserve pieces.
    add_extension(params, make_room_extension(room, *spec.torrent->info));
    params.extensions.emplace_back([](lt::torrent_handle const& of, auto) { return make_retry_extension(of); });
    if (spec.mode == image_mode::deploy) {
        auto const on_neighbours = [this](session_torrent& torrent, int missing) {
            torrent.missing_peers = missing;
            choose_connection_speed();
        };
        add_extension(params, make_neighbour_extension(enough_peers, on_main(which, on_neighbours)));
        add_extension(params, make_ahead_extension(spec.torrent->info));
    }
    if (spec.record) {
        add_extension(params, make_record_extension(spec.record));
    }
    if (spec.withdrawn) {
        add_extension(params, make_withdrawal_extension(spec.withdrawn, spec.supply));
    }
    if (spec.mode == image_mode::seed) {
        auto const pieces = spec.torrent->piece_count;
        // Each shard starts with a part of its own: its peers get the other parts from those of the other shards.
        auto const first = static_cast<int>(std::int64_t{pieces} * own.shard / own.network.shards);
        add_extension(params, make_read_once_extension({pieces, spec.torrent->info->piece_length(), first},
                                                       torrents.at(which).read_once));
    }
    // Last: the others answer some requests themselves.
    add_extension(params, make_prompt_extension(spec.torrent->piece_count));
}

void session_core::keep_room_for_known_peers() {
    std::set<boost::asio::ip::address> known;
    for (auto const& [which, torrent] : torrents) {
        for (auto const& peer : torrent.peers) {
            known.insert(to_tcp_endpoint(peer).address());
        }
        for (auto const& host : torrent.expected) {
            known.insert(to_tcp_endpoint({host, 0}).address());
        }
    }
    set_known_peers(*room, std::move(known));
}

void session_core::apply_filter_to_others(id which, bool apply) {
    for (auto const& [number, torrent] : torrents) {
        if (number != which && torrent.accepts_peers()) {
            torrent.handle.set_flags(apply ? lt::torrent_flags::apply_ip_filter : lt::torrent_flags_t{},
                                     lt::torrent_flags::apply_ip_filter);
        }
    }
}

std::int64_t session_core::pool_bytes() const {
    return static_cast<std::int64_t>(shared->pool().capacity()) * block_size;
}

void session_core::choose_connection_speed() {
    auto speed = 0;
    for (auto const& [which, torrent] : torrents) {
        speed = std::max(speed, torrent.mode == image_mode::seed ? usual_connection_speed : torrent.missing_peers);
    }
    if (session && std::exchange(connection_speed, speed) != speed) {
        lt::settings_pack pack;
        set_connection_speed_setting(pack, speed);
        session->apply_settings(std::move(pack));
    }
}

void session_core::apply_read_once() {
    for (auto& [which, torrent] : torrents) {
        torrent.apply_read_once(own.network.read_once);
    }
}

} // namespace seedbed
