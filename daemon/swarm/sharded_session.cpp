#include "daemon/swarm/sharded_session.hpp"

#include <algorithm>
#include <iterator>
#include <list>
#include <map>
#include <type_traits>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/foundation/thread_confinement.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/network_shards.hpp"
#include "daemon/swarm/shard_placement.hpp"
#include "daemon/swarm/sharded_torrent.hpp"
#include "daemon/swarm/torrent_session.hpp"
#include "daemon/swarm/upload_ramp.hpp"

namespace seedbed {

using boost::asio::ip::tcp;

namespace {

constexpr auto ramp_step = std::chrono::seconds(5);
/// How long a refused peer has to connect to its home shard by itself, as most do, before that shard connects to it. If
/// both connect at the same moment, each side ends one of the two connections.
constexpr auto time_to_come_home = std::chrono::seconds(1);

} // namespace

/// Owned by the session, and by handlers in flight through the io_context, which may outlive the session.
struct sharded_session::implementation : std::enable_shared_from_this<sharded_session::implementation> {
    implementation(boost::asio::io_context& main_context, network_settings wanted, std::function<void()> activity)
        : main(main_context)
        , network(std::move(wanted))
        , on_activity(std::move(activity))
        , ramp_timer(main_context) {}

    // --- sessions

    void open(std::shared_ptr<backend> const& shared, std::int64_t queued_bytes);
    [[nodiscard]] torrent_session::options options_of(int shard, network_settings const& part);
    void on_listening(result<void> const& outcome, int& left);
    [[nodiscard]] int shards() const { return static_cast<int>(sessions.size()); }

    // --- torrents

    [[nodiscard]] std::shared_ptr<sharded_torrent> make_torrent(id which, torrent_spec const& spec,
                                                                torrent_listener& listener);
    void remove(id which);
    void on_part_removed(id which);
    /// Calls \p call(session, number) for the sessions that have the torrent.
    template <class Call>
    void for_each_session(id which, Call const& call) const {
        auto const& torrent = *torrents.at(which);
        for (std::size_t i = 0; i < sessions.size(); ++i) {
            if (torrent.is_in(i)) {
                call(*sessions[i], i);
            }
        }
    }

    // --- limits

    void divide_limits();
    void divide_limit_of(id which, sharded_torrent const& torrent) const;
    [[nodiscard]] std::vector<int> peers() const;
    void on_peers();
    void begin_ramp();
    void arm_ramp();
    void step_ramp();

    // --- peers that came to the wrong shard

    void on_refused(id which, tcp::endpoint const& peer);
    void connect_from_home(id which, tcp::endpoint const& peer);

    /// A handler of \p member that does nothing once the session is gone.
    template <class... Arguments>
    auto weakly(void (implementation::*member)(Arguments...), std::decay_t<Arguments>... arguments) {
        return [weak = weak_from_this(), member, arguments...] {
            if (auto const self = weak.lock()) {
                (self.get()->*member)(arguments...);
            }
        };
    }

    thread_confinement const thread;
    boost::asio::io_context& main;
    network_settings network;
    std::function<void()> on_activity;
    std::vector<std::unique_ptr<torrent_session>> sessions;
    std::map<id, std::shared_ptr<sharded_torrent>> torrents;
    id next_id = 1;
    bool stopping = false; ///< shut_down() was called, but handlers of timers that expired earlier may still run
    upload_ramp ramp;
    boost::asio::steady_timer ramp_timer;
    std::list<boost::asio::steady_timer> refused_peers; ///< one for each recently refused peer
    std::function<void(result<void>)> listening;
};

// --- sessions

void sharded_session::implementation::open(std::shared_ptr<backend> const& shared, std::int64_t queued_bytes) {
    auto const no_peers = std::vector<int>(static_cast<std::size_t>(network.shards), 0);
    auto const parts = divide_network(network, ramp.slots(network), no_peers);
    auto const left = std::make_shared<int>(network.shards);
    for (int shard = 0; shard < network.shards; ++shard) {
        auto wanted = options_of(shard, parts[static_cast<std::size_t>(shard)]);
        wanted.queued_bytes = queued_bytes;
        sessions.push_back(std::make_unique<torrent_session>(main, shared, std::move(wanted)));
        sessions.back()->when_listening([weak = weak_from_this(), left](result<void> const& outcome) {
            if (auto const self = weak.lock()) {
                self->on_listening(outcome, *left);
            }
        });
    }
}

torrent_session::options sharded_session::implementation::options_of(int shard, network_settings const& part) {
    torrent_session::options wanted;
    wanted.thread = network.shards == 1 ? "network" : "network-" + std::to_string(shard + 1);
    wanted.shard = shard;
    wanted.network = part;
    wanted.own_ports = all_ports(network);
    wanted.on_activity = [weak = weak_from_this()] {
        if (auto const self = weak.lock()) {
            self->begin_ramp();
            self->on_activity();
        }
    };
    wanted.on_peers = weakly(&implementation::on_peers);
    return wanted;
}

void sharded_session::implementation::on_listening(result<void> const& outcome, int& left) {
    --left;
    if (listening && (left == 0 || !outcome)) {
        std::exchange(listening, nullptr)(outcome);
    }
}

// --- torrents

std::shared_ptr<sharded_torrent> sharded_session::implementation::make_torrent(id which, torrent_spec const& spec,
                                                                               torrent_listener& listener) {
    auto const parts = spec.mode == image_mode::seed ? shards() : 1;
    auto torrent =
        std::make_shared<sharded_torrent>(spec.name, listener, parts, weakly(&implementation::on_part_removed, which));
    torrent->upload_limit = spec.upload_limit;
    if (parts > 1) {
        torrent->places = std::make_shared<shard_placement>(parts);
    } else if (shards() > 1) {
        log_info({spec.name, {}, {}},
                 "network shards only serve images in mode \"seed\"; using the first of " + std::to_string(shards()));
    }
    return torrent;
}

void sharded_session::implementation::remove(id which) {
    if (!std::exchange(torrents.at(which)->removing, true)) {
        for_each_session(which, [which](torrent_session& session, std::size_t) { session.remove(which); });
    }
}

/// If one session has dropped a torrent by itself, the others follow.
void sharded_session::implementation::on_part_removed(id which) {
    remove(which);
    auto const torrent = torrents.at(which);
    if (!torrent->is_in_any()) {
        torrents.erase(which);
        torrent->listener().on_removed();
    }
}

// --- limits

/// The number of peers of each session.
std::vector<int> sharded_session::implementation::peers() const {
    std::vector<int> counts;
    for (auto const& session : sessions) {
        counts.push_back(session->peers());
    }
    return counts;
}

/// Gives each session its share of the limits, according to the number of its peers.
void sharded_session::implementation::divide_limits() {
    auto const parts = divide_network(network, ramp.slots(network), peers());
    auto const ports = all_ports(network);
    for (std::size_t i = 0; i < sessions.size(); ++i) {
        sessions[i]->apply(parts[i], ports);
    }
    for (auto const& [which, torrent] : torrents) {
        divide_limit_of(which, *torrent);
    }
}

void sharded_session::implementation::divide_limit_of(id which, sharded_torrent const& torrent) const {
    if (torrent.removing) {
        return;
    }
    auto const limits = divide_limit(torrent.upload_limit, torrent.peers(), 1);
    for_each_session(which,
                     [&](torrent_session& session, std::size_t i) { session.set_upload_limit(which, limits[i]); });
}

void sharded_session::implementation::on_peers() {
    if (std::ranges::any_of(peers(), [](int count) { return count > 0; })) {
        begin_ramp();
    } else if (ramp.reset()) {
        ramp_timer.cancel();
    }
    divide_limits();
}

void sharded_session::implementation::begin_ramp() {
    if (!stopping && ramp.begin()) {
        arm_ramp();
    }
}

void sharded_session::implementation::arm_ramp() {
    ramp_timer.expires_after(ramp_step);
    ramp_timer.async_wait([weak = weak_from_this()](boost::system::error_code const& ec) {
        auto const self = weak.lock();
        if (!ec && self && !self->stopping) {
            self->step_ramp();
        }
    });
}

void sharded_session::implementation::step_ramp() {
    auto const again = ramp.step();
    divide_limits();
    if (again) {
        arm_ramp();
    }
}

// --- peers that came to the wrong shard

void sharded_session::implementation::on_refused(id which, tcp::endpoint const& peer) {
    auto const at = torrents.find(which);
    if (stopping || at == torrents.end() || at->second->removing) {
        return;
    }
    auto const text = peer.address().to_string();
    log_debug({at->second->name(), {}, text}, "peer " + text + " belongs to network shard " +
                                                  std::to_string(at->second->places->home_of(peer.address()) + 1));
    auto const timer = refused_peers.emplace(refused_peers.end(), main, time_to_come_home);
    timer->async_wait([weak = weak_from_this(), timer, which, peer](boost::system::error_code const& ec) {
        auto const self = weak.lock();
        if (!self) {
            return; // the timer is gone as well
        }
        self->refused_peers.erase(timer);
        if (!ec) {
            self->connect_from_home(which, peer);
        }
    });
}

void sharded_session::implementation::connect_from_home(id which, tcp::endpoint const& peer) {
    auto const at = torrents.find(which);
    if (stopping || at == torrents.end() || at->second->removing || at->second->places->has(peer.address())) {
        return;
    }
    auto const home = static_cast<std::size_t>(at->second->places->home_of(peer.address()));
    if (at->second->is_in(home)) {
        sessions[home]->connect(which, peer);
    }
}

// --- the class itself

// Each session keeps a copy of the backend. NOLINTNEXTLINE(performance-unnecessary-value-param)
sharded_session::sharded_session(boost::asio::io_context& main, std::shared_ptr<backend> shared,
                                 network_settings const& network, std::int64_t queued_bytes,
                                 std::function<void()> on_activity)
    : m_impl(std::make_shared<implementation>(main, network, std::move(on_activity))) {
    m_impl->open(shared, queued_bytes);
}

sharded_session::~sharded_session() {
    m_impl->thread.check();
}

void sharded_session::when_listening(std::function<void(result<void>)> handler) {
    m_impl->thread.check();
    m_impl->listening = std::move(handler);
}

sharded_session::id sharded_session::add(torrent_spec const& spec, torrent_listener& listener) {
    m_impl->thread.check();
    auto const which = m_impl->next_id++;
    auto const added = m_impl->make_torrent(which, spec, listener);
    m_impl->torrents.emplace(which, added);
    auto const limits = divide_limit(spec.upload_limit, added->peers(), 1);
    auto const parts = static_cast<int>(added->parts());
    for (std::size_t i = 0; i < added->parts(); ++i) {
        auto own = spec;
        own.peers = peers_of_shard(spec.peers, static_cast<int>(i), parts);
        own.upload_limit = limits[i];
        auto refused = [weak = m_impl->weak_from_this(), &main = m_impl->main, which](tcp::endpoint const& peer) {
            boost::asio::post(main, [weak, which, peer] {
                if (auto const self = weak.lock()) {
                    self->on_refused(which, peer);
                }
            });
        };
        m_impl->sessions[i]->add(which, own, added->part(i), {added->places, std::move(refused)});
    }
    return which;
}

void sharded_session::remove(id torrent) {
    m_impl->thread.check();
    m_impl->remove(torrent);
}

void sharded_session::update(id torrent, std::vector<ip_endpoint> const& peers,
                             std::vector<std::string> const& trackers) {
    m_impl->thread.check();
    auto const parts = static_cast<int>(m_impl->torrents.at(torrent)->parts());
    m_impl->for_each_session(torrent, [&](torrent_session& session, std::size_t shard) {
        session.update(torrent, peers_of_shard(peers, static_cast<int>(shard), parts), trackers);
    });
}

void sharded_session::set_expected(id torrent, std::vector<ip_address> const& hosts) {
    m_impl->thread.check();
    m_impl->for_each_session(
        torrent, [torrent, &hosts](torrent_session& session, std::size_t) { session.set_expected(torrent, hosts); });
}

void sharded_session::set_upload_limit(id torrent, std::int64_t bytes_per_second) {
    m_impl->thread.check();
    auto& limited = *m_impl->torrents.at(torrent);
    limited.upload_limit = bytes_per_second;
    m_impl->divide_limit_of(torrent, limited);
}

void sharded_session::set_super_seeding(id torrent, bool on) {
    m_impl->thread.check();
    m_impl->for_each_session(
        torrent, [torrent, on](torrent_session& session, std::size_t) { session.set_super_seeding(torrent, on); });
}

void sharded_session::lift_ban(id torrent, boost::asio::ip::tcp::endpoint const& peer) {
    m_impl->thread.check();
    m_impl->for_each_session(
        torrent, [torrent, peer](torrent_session& session, std::size_t) { session.lift_ban(torrent, peer); });
}

void sharded_session::request_pieces(id torrent) {
    m_impl->thread.check();
    m_impl->for_each_session(torrent,
                             [torrent](torrent_session& session, std::size_t) { session.request_pieces(torrent); });
}

void sharded_session::apply(network_settings const& network) {
    m_impl->thread.check();
    auto const shards = m_impl->network.shards;
    m_impl->network = network;
    m_impl->network.shards = shards;
    m_impl->divide_limits();
}

void sharded_session::set_queued_bytes(std::int64_t bytes) {
    m_impl->thread.check();
    for (auto const& session : m_impl->sessions) {
        session->set_queued_bytes(bytes);
    }
}

void sharded_session::request_progress() {
    m_impl->thread.check();
    for (auto const& session : m_impl->sessions) {
        session->request_progress();
    }
}

void sharded_session::request_peers(id torrent, worker_pool& worker,
                                    std::function<void(std::vector<peer_status>)> call) const {
    m_impl->thread.check();
    std::vector<std::function<std::vector<peer_status>()>> queries;
    m_impl->for_each_session(
        torrent, [&](torrent_session& session, std::size_t) { queries.push_back(session.peers_of(torrent)); });
    worker.submit([queries = std::move(queries), call = std::move(call)] {
        std::vector<peer_status> all;
        for (auto const& query : queries) {
            std::ranges::move(query(), std::back_inserter(all));
        }
        call(queries.size() > 1 ? without_twins(std::move(all)) : std::move(all));
    });
}

void sharded_session::ping(
    std::function<void()> answered) { // NOLINT(performance-unnecessary-value-param): kept by each
    m_impl->thread.check();
    auto const left = std::make_shared<std::size_t>(m_impl->sessions.size());
    for (auto const& session : m_impl->sessions) {
        session->ping(!answered ? std::function<void()>() : [left, answered] {
            if (--*left == 0) {
                answered();
            }
        });
    }
}

std::chrono::steady_clock::time_point sharded_session::last_pong() const noexcept {
    m_impl->thread.check();
    auto first = m_impl->sessions.front()->last_pong();
    for (auto const& session : m_impl->sessions) {
        first = std::min(first, session->last_pong());
    }
    return first;
}

void sharded_session::shut_down(worker_pool& worker, std::function<void()> done) {
    m_impl->thread.check();
    m_impl->stopping = true;
    m_impl->ramp_timer.cancel();
    for (auto& timer : m_impl->refused_peers) {
        timer.cancel();
    }
    std::vector<std::function<void()>> ends;
    for (auto const& session : m_impl->sessions) {
        ends.push_back(session->shut_down());
    }
    worker.submit([ends = std::move(ends), &main = m_impl->main, done = std::move(done)] {
        for (auto const& end : ends) {
            end(); // the sessions end in parallel; this waits for one after another
        }
        boost::asio::post(main, done);
    });
}

} // namespace seedbed
