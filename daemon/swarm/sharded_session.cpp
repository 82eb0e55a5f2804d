#include "daemon/swarm/sharded_session.hpp"

#include <algorithm>
#include <iterator>
#include <list>
#include <map>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/network_shards.hpp"
#include "daemon/swarm/shard_placement.hpp"
#include "daemon/swarm/torrent_session.hpp"
#include "daemon/swarm/upload_ramp.hpp"

namespace seedbed {

using boost::asio::ip::tcp;

namespace {

constexpr auto ramp_step = std::chrono::seconds(5);
/// A peer that was refused has so long to find its shard by itself, which most do: two who connect to each other at the
/// same moment hang up on each other.
constexpr auto time_to_come_home = std::chrono::seconds(1);

/// Those that belong to a shard; all where \p shards is 1.
std::vector<ip_endpoint> peers_of_shard(std::vector<ip_endpoint> const& peers, int shard, int shards) {
    std::vector<ip_endpoint> own;
    std::ranges::copy_if(peers, std::back_inserter(own), [&](ip_endpoint const& peer) {
        return shard_of(to_tcp_endpoint(peer).address(), shards) == shard;
    });
    return own;
}

/// A peer that is about to leave a shard to which it does not belong is at two of them for a moment.
std::vector<peer_status> without_twins(std::vector<peer_status> peers) {
    std::ranges::stable_sort(peers, [](peer_status const& a, peer_status const& b) {
        return a.id != b.id ? a.id < b.id : a.uploaded > b.uploaded;
    });
    auto const same_id = [](peer_status const& a, peer_status const& b) { return a.id == b.id; };
    peers.erase(std::unique(peers.begin(), peers.end(), same_id), peers.end());
    return peers;
}

} // namespace

/// Shared with timers and handlers on their way through the io_context, which may outlive the sharded_session.
struct sharded_session::implementation : std::enable_shared_from_this<sharded_session::implementation> {
    /// What one session tells of a torrent.
    struct part final : torrent_listener {
        part(implementation& all, id which)
            : owner(all)
            , torrent(which) {}

        void on_checked() override { owner.once(torrent, &torrent_state::checked, &torrent_listener::on_checked); }
        void on_complete() override { owner.once(torrent, &torrent_state::complete, &torrent_listener::on_complete); }
        void on_content_differs() override {
            owner.once(torrent, &torrent_state::differs, &torrent_listener::on_content_differs);
        }
        void on_pieces(std::vector<bool> const& pieces) override { owner.listener_of(torrent).on_pieces(pieces); }
        void on_piece_damaged(int piece) override { owner.listener_of(torrent).on_piece_damaged(piece); }
        void on_torrent_error(std::string const& reason) override {
            owner.listener_of(torrent).on_torrent_error(reason);
        }
        void on_progress(torrent_progress const& told) override {
            progress = told;
            has_told = true;
            owner.on_progress(torrent);
        }
        void on_removed() override { owner.on_removed(torrent, *this); }

        implementation& owner;
        id const torrent;
        torrent_progress progress;
        bool has_told = false; ///< its progress
        bool there = true;     ///< in the session
    };
    struct torrent_state {
        torrent_listener* listener = nullptr;
        std::string name;
        std::vector<std::shared_ptr<part>> parts; ///< of the sessions from the first one on
        std::shared_ptr<shard_placement> places;  ///< null where there is one part
        std::int64_t upload_limit = 0;
        bool checked = false; ///< told
        bool complete = false;
        bool differs = false;
        bool removing = false;
    };

    boost::asio::io_context& main;
    network_settings network;
    std::function<void()> on_activity;
    std::vector<std::unique_ptr<torrent_session>> sessions;
    std::map<id, torrent_state> torrents;
    id next_id = 1;
    bool stopping = false; ///< shut_down() was called: a timer that had run out by then may still tell so
    upload_ramp ramp;
    boost::asio::steady_timer ramp_timer;
    std::list<boost::asio::steady_timer> homecomings; ///< one for each peer that was refused a moment ago
    std::function<void(result<void>)> listening;

    implementation(boost::asio::io_context& main_context, network_settings wanted, std::function<void()> activity)
        : main(main_context)
        , network(std::move(wanted))
        , on_activity(std::move(activity))
        , ramp_timer(main_context) {}

    void open(std::shared_ptr<backend> const& shared, std::int64_t queued_bytes) {
        auto const parts =
            divide_network(network, ramp.slots(network), std::vector<int>(static_cast<std::size_t>(network.shards), 0));
        auto const left = std::make_shared<int>(network.shards);
        for (int shard = 0; shard < network.shards; ++shard) {
            torrent_session::options wanted;
            wanted.thread = network.shards == 1 ? "network" : "network-" + std::to_string(shard + 1);
            wanted.shard = shard;
            wanted.network = parts[static_cast<std::size_t>(shard)];
            wanted.own_ports = all_ports(network);
            wanted.queued_bytes = queued_bytes;
            wanted.on_activity = [weak = weak_from_this()] {
                if (auto const self = weak.lock()) {
                    self->begin_ramp();
                    self->on_activity();
                }
            };
            wanted.on_peers = [weak = weak_from_this()] {
                if (auto const self = weak.lock()) {
                    self->on_peers();
                }
            };
            sessions.push_back(std::make_unique<torrent_session>(main, shared, std::move(wanted)));
            sessions.back()->when_listening([weak = weak_from_this(), left](result<void> const& outcome) {
                auto const self = weak.lock();
                if (self && self->listening && (--*left == 0 || !outcome)) {
                    std::exchange(self->listening, nullptr)(outcome);
                }
            });
        }
    }

    /// Calls \p call(session, number) for those that have the torrent.
    template <class Call>
    void for_each_session(id which, Call const& call) const {
        auto const& parts = torrents.at(which).parts;
        for (std::size_t i = 0; i < parts.size(); ++i) {
            if (parts[i]->there) {
                call(*sessions[i], i);
            }
        }
    }

    [[nodiscard]] int shards() const { return static_cast<int>(sessions.size()); }

    // --- limits

    /// How many peers each session has; of one torrent, where there is one given.
    [[nodiscard]] std::vector<int> peers(torrent_state const* torrent = nullptr) const {
        std::vector<int> counts;
        for (std::size_t i = 0; i < sessions.size(); ++i) {
            counts.push_back(torrent != nullptr ? torrent->parts[i]->progress.peers : sessions[i]->peers());
        }
        return counts;
    }

    /// Each session gets its part of the limits, by the peers that it has now.
    void divide_limits() {
        auto const parts = divide_network(network, ramp.slots(network), peers());
        auto const ports = all_ports(network);
        for (std::size_t i = 0; i < sessions.size(); ++i) {
            sessions[i]->apply(parts[i], ports);
        }
        for (auto const& [which, torrent] : torrents) {
            divide_limit_of(which, torrent);
        }
    }

    void divide_limit_of(id which, torrent_state const& torrent) {
        if (torrent.removing) {
            return;
        }
        auto const limits = torrent.parts.size() == 1 ? std::vector<std::int64_t>{torrent.upload_limit}
                                                      : divide_limit(torrent.upload_limit, peers(&torrent), 1);
        for_each_session(which,
                         [&](torrent_session& session, std::size_t i) { session.set_upload_limit(which, limits[i]); });
    }

    void on_peers() {
        auto const counts = peers();
        if (std::ranges::any_of(counts, [](int count) { return count > 0; })) {
            begin_ramp();
        } else if (ramp.reset()) {
            ramp_timer.cancel();
        }
        divide_limits();
    }

    void begin_ramp() {
        if (!stopping && ramp.begin()) {
            arm_ramp();
        }
    }

    void arm_ramp() {
        ramp_timer.expires_after(ramp_step);
        ramp_timer.async_wait([weak = weak_from_this()](boost::system::error_code const& ec) {
            auto const self = weak.lock();
            if (!ec && self && !self->stopping) {
                auto const again = self->ramp.step();
                self->divide_limits();
                if (again) {
                    self->arm_ramp();
                }
            }
        });
    }

    // --- what the sessions tell

    [[nodiscard]] torrent_listener& listener_of(id which) { return *torrents.at(which).listener; }

    /// Tells what several parts may tell, and counts once.
    void once(id which, bool torrent_state::*told, void (torrent_listener::*call)()) {
        auto& torrent = torrents.at(which);
        if (!std::exchange(torrent.*told, true)) {
            (torrent.listener->*call)();
        }
    }

    void on_progress(id which) {
        auto const& torrent = torrents.at(which);
        torrent_progress sum;
        auto first = true;
        for (auto const& told : torrent.parts) {
            auto const& each = told->progress;
            if (!told->has_told || std::exchange(first, false)) {
                sum = told->has_told ? each : sum;
                continue;
            }
            sum.current = std::min(sum.current, each.current);
            sum.fraction = std::min(sum.fraction, each.fraction);
            sum.bytes_left = std::max(sum.bytes_left, each.bytes_left);
            sum.downloaded += each.downloaded;
            sum.uploaded += each.uploaded;
            sum.download_rate += each.download_rate;
            sum.upload_rate += each.upload_rate;
            sum.peers += each.peers;
        }
        torrent.listener->on_progress(sum);
    }

    void on_removed(id which, part& gone) {
        gone.there = false;
        auto const parts = torrents.at(which).parts; // this is called by one of them
        remove(which);
        if (std::ranges::none_of(parts, [](auto const& each) { return each->there; })) {
            auto* const listener = torrents.at(which).listener;
            torrents.erase(which);
            listener->on_removed();
        }
    }

    /// Also where one session has dropped it by itself: the others follow.
    void remove(id which) {
        auto& torrent = torrents.at(which);
        if (std::exchange(torrent.removing, true)) {
            return;
        }
        for_each_session(which, [which](torrent_session& session, std::size_t) { session.remove(which); });
    }

    // --- peers of other shards

    /// A peer has come to a shard to which it does not belong.
    void on_refused(id which, tcp::endpoint const& peer) {
        auto const at = torrents.find(which);
        if (at == torrents.end() || at->second.removing) {
            return;
        }
        auto const text = peer.address().to_string();
        log_debug({at->second.name, {}, text}, "peer " + text + " belongs to network shard " +
                                                   std::to_string(at->second.places->home_of(peer.address()) + 1));
        auto const timer = homecomings.emplace(homecomings.end(), main, time_to_come_home);
        timer->async_wait([weak = weak_from_this(), timer, which, peer](boost::system::error_code const& ec) {
            auto const self = weak.lock();
            if (!self) {
                return; // and the timer has gone with it
            }
            self->homecomings.erase(timer);
            if (!ec) {
                self->bring_home(which, peer);
            }
        });
    }

    void bring_home(id which, tcp::endpoint const& peer) {
        auto const at = torrents.find(which);
        if (at == torrents.end() || at->second.removing || at->second.places->has(peer.address())) {
            return;
        }
        auto const home = static_cast<std::size_t>(at->second.places->home_of(peer.address()));
        if (at->second.parts[home]->there) {
            sessions[home]->connect(which, peer);
        }
    }
};

sharded_session::sharded_session(boost::asio::io_context& main, std::shared_ptr<backend> shared,
                                 network_settings const& network, std::int64_t queued_bytes,
                                 std::function<void()> on_activity)
    : m_impl(std::make_shared<implementation>(main, network, std::move(on_activity))) {
    m_impl->open(shared, queued_bytes);
}

sharded_session::~sharded_session() = default;

void sharded_session::when_listening(std::function<void(result<void>)> handler) {
    m_impl->listening = std::move(handler);
}

sharded_session::id sharded_session::add(torrent_spec const& entry, torrent_listener& listener) {
    auto const which = m_impl->next_id++;
    auto& added = m_impl->torrents[which];
    auto const shards = entry.mode == image_mode::seed ? m_impl->shards() : 1;
    added.listener = &listener;
    added.name = entry.name;
    added.upload_limit = entry.upload_limit;
    if (shards > 1) {
        added.places = std::make_shared<shard_placement>(shards);
    } else if (m_impl->shards() > 1) {
        log_info({entry.name, {}, {}},
                 "network shards serve seeds only: this image, in mode \"deploy\", uses the first "
                 "of " +
                     std::to_string(m_impl->shards()));
    }
    for (int shard = 0; shard < shards; ++shard) {
        added.parts.push_back(std::make_shared<implementation::part>(*m_impl, which));
    }
    auto const limits = divide_limit(entry.upload_limit, std::vector<int>(static_cast<std::size_t>(shards), 0), 1);
    for (int shard = 0; shard < shards; ++shard) {
        auto const index = static_cast<std::size_t>(shard);
        auto own = entry;
        own.peers = peers_of_shard(entry.peers, shard, shards);
        own.upload_limit = limits[index];
        auto refused = [weak = m_impl->weak_from_this(), &main = m_impl->main, which](tcp::endpoint const& peer) {
            boost::asio::post(main, [weak, which, peer] {
                if (auto const self = weak.lock()) {
                    self->on_refused(which, peer);
                }
            });
        };
        m_impl->sessions[index]->add(which, own, *added.parts[index], {added.places, std::move(refused)});
    }
    return which;
}

void sharded_session::remove(id torrent) {
    m_impl->remove(torrent);
}

void sharded_session::update(id torrent, std::vector<ip_endpoint> const& peers,
                             std::vector<std::string> const& trackers) {
    auto const parts = static_cast<int>(m_impl->torrents.at(torrent).parts.size());
    m_impl->for_each_session(torrent, [&](torrent_session& session, std::size_t shard) {
        session.update(torrent, peers_of_shard(peers, static_cast<int>(shard), parts), trackers);
    });
}

void sharded_session::set_upload_limit(id torrent, std::int64_t bytes_a_second) {
    auto& limited = m_impl->torrents.at(torrent);
    limited.upload_limit = bytes_a_second;
    m_impl->divide_limit_of(torrent, limited);
}

void sharded_session::set_super_seeding(id torrent, bool on) {
    m_impl->for_each_session(
        torrent, [torrent, on](torrent_session& session, std::size_t) { session.set_super_seeding(torrent, on); });
}

void sharded_session::request_pieces(id torrent) {
    m_impl->for_each_session(torrent,
                             [torrent](torrent_session& session, std::size_t) { session.request_pieces(torrent); });
}

void sharded_session::apply(network_settings const& network) {
    auto const shards = m_impl->network.shards;
    m_impl->network = network;
    m_impl->network.shards = shards;
    m_impl->divide_limits();
}

void sharded_session::set_queued_bytes(std::int64_t bytes) {
    for (auto const& session : m_impl->sessions) {
        session->set_queued_bytes(bytes);
    }
}

void sharded_session::request_progress() {
    for (auto const& session : m_impl->sessions) {
        session->request_progress();
    }
}

void sharded_session::request_peers(id torrent, worker_pool& worker,
                                    std::function<void(std::vector<peer_status>)> call) const {
    std::vector<std::function<std::vector<peer_status>()>> asked;
    m_impl->for_each_session(
        torrent, [&](torrent_session& session, std::size_t) { asked.push_back(session.peers_of(torrent)); });
    worker.submit([asked = std::move(asked), call = std::move(call)] {
        std::vector<peer_status> all;
        for (auto const& ask : asked) {
            auto part = ask();
            std::ranges::move(part, std::back_inserter(all));
        }
        call(asked.size() > 1 ? without_twins(std::move(all)) : std::move(all));
    });
}

void sharded_session::ping(std::function<void()> answered) {
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
    auto first = m_impl->sessions.front()->last_pong();
    for (auto const& session : m_impl->sessions) {
        first = std::min(first, session->last_pong());
    }
    return first;
}

void sharded_session::shut_down(worker_pool& worker, std::function<void()> done) {
    m_impl->stopping = true;
    m_impl->ramp_timer.cancel();
    for (auto& timer : m_impl->homecomings) {
        timer.cancel();
    }
    std::vector<std::function<void()>> ends;
    for (auto const& session : m_impl->sessions) {
        ends.push_back(session->shut_down());
    }
    worker.submit([ends = std::move(ends), &main = m_impl->main, done = std::move(done)] {
        for (auto const& end : ends) {
            end(); // they end at the same time
        }
        boost::asio::post(main, done);
    });
}

} // namespace seedbed
