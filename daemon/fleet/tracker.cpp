#include "daemon/fleet/tracker.hpp"

#include <algorithm>
#include <iterator>
#include <optional>

#include <libtorrent/bencode.hpp>
#include <libtorrent/entry.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/network_shards.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

using namespace std::chrono_literals;
using endpoint = tracker::endpoint;

constexpr std::size_t peer_id_size = 20; ///< bytes (BEP 3)
/// Clients send 8 digits.
constexpr std::size_t longest_key = 64;
/// The interval of clients that ignore the tracker's: at least five minutes in libtorrent
/// (settings_pack::min_announce_interval), two in Transmission.
constexpr auto foreign_interval = 300s;
/// For the duration of an announce, and for clients that round up.
constexpr auto grace = 10s;
/// For the daemon's announces to itself, which serve no purpose.
constexpr auto own_interval = 1800s;

std::string bencoded(lt::entry const& value) {
    std::string text;
    lt::bencode(std::back_inserter(text), value);
    return text;
}

std::string failure(std::string const& reason) {
    lt::entry answer;
    answer["failure reason"] = reason;
    return bencoded(answer);
}

/// BEP 23 and 7: 4 or 16 bytes of the address and 2 of the port, in network order.
void append_compact(std::string& text, endpoint const& peer) {
    if (peer.address().is_v4()) {
        auto const bytes = peer.address().to_v4().to_bytes();
        text.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    } else {
        auto const bytes = peer.address().to_v6().to_bytes();
        text.append(reinterpret_cast<char const*>(bytes.data()), bytes.size());
    }
    text += static_cast<char>(peer.port() >> 8);
    text += static_cast<char>(peer.port() & 0xff);
}

announcement::event_kind parse_event(std::string_view text) {
    using kind = announcement::event_kind;
    if (text == "started") {
        return kind::started;
    }
    if (text == "completed") {
        return kind::completed;
    }
    if (text == "stopped") {
        return kind::stopped;
    }
    // "paused" (BEP 21) and unknown events do not matter here.
    return kind::none;
}

result<announcement> read_announcement(query_string const& query, tracker::address const& peer) {
    auto const refuse = [](char const* reason) { return tl::unexpected(error{reason}); };
    announcement said;
    auto const hash = info_hash::from_bytes(query.find("info_hash").value_or(""));
    if (!hash) {
        return refuse("info_hash is missing or not 20 bytes long");
    }
    said.info_hash = *hash;
    said.peer_id = std::string(query.find("peer_id").value_or(""));
    if (said.peer_id.size() != peer_id_size) {
        return refuse("peer_id is missing or not 20 bytes long");
    }
    auto const port = query.number("port");
    if (!port || *port > 65535) {
        return refuse("port is missing or not a port number");
    }
    said.key = std::string(query.find("key").value_or("").substr(0, longest_key));
    said.peer = {peer, static_cast<std::uint16_t>(*port)};
    said.downloaded = query.number("downloaded").value_or(0);
    // A client that does not send "left" counts as incomplete.
    said.left = query.number("left").value_or(1);
    said.event = parse_event(query.find("event").value_or(""));
    return said;
}

} // namespace

tracker::tracker(tracker_limits const& limits, std::function<void(announcement const&)> on_announce)
    : m_limits(limits)
    , m_on_announce(std::move(on_announce)) {}

void tracker::set_limits(tracker_limits const& limits) {
    m_limits = limits;
}

void tracker::set_own(std::string peer_id_prefix, std::vector<endpoint> listeners, int shards) {
    m_own_prefix = std::move(peer_id_prefix);
    m_own_listeners = std::move(listeners);
    m_own_shards = shards;
}

void tracker::set_images(std::vector<image> const& images) {
    std::map<info_hash, swarm> kept;
    for (auto const& each : images) {
        auto const known = m_swarms.find(each.info_hash);
        auto& of = kept[each.info_hash];
        if (known != m_swarms.end()) {
            of = std::move(known->second);
            m_swarms.erase(known);
        }
        of.own_complete = each.complete;
    }
    for (auto const& [hash, gone] : m_swarms) {
        m_peers -= gone.peers.size();
    }
    m_swarms = std::move(kept);
}

bool tracker::is_own(std::string_view peer_id) const {
    return !m_own_prefix.empty() && peer_id.starts_with(m_own_prefix);
}

tracker::clock::duration tracker::patience(std::string_view peer_id) const {
    auto const obeys = peer_id.starts_with("-SB");
    return 2 * (obeys ? m_limits.interval : std::max<std::chrono::seconds>(m_limits.interval, foreign_interval)) +
           grace;
}

std::string tracker::announce(std::string_view target, address const& peer, address const& local,
                              clock::time_point now) {
    auto const query = query_string::parse(target);
    if (!query) {
        return failure("invalid percent-encoding");
    }
    auto const said = read_announcement(*query, peer);
    if (!said) {
        return failure(said.error().message);
    }
    auto const at = m_swarms.find(said->info_hash);
    if (at == m_swarms.end()) {
        return failure("this tracker does not serve this torrent");
    }
    expire(now);
    auto const own = is_own(said->peer_id);
    auto& of = at->second;
    if (!own) {
        keep(of, *said, now);
        m_on_announce(*said);
    }

    auto const stopped = said->event == announcement::event_kind::stopped;
    auto const wanted = std::min<std::size_t>(
        static_cast<std::size_t>(query->number("numwant").value_or(static_cast<std::int64_t>(m_limits.numwant))),
        m_limits.numwant);
    // A daemon that has all pieces needs no peers: clients that need pieces connect to it.
    auto const needs_none = stopped || (own && of.own_complete);
    auto const peers = needs_none ? chosen_peers() : choose(of, *said, wanted);
    auto const own_ones = own || stopped ? std::vector<endpoint>() : own_endpoints(local, peer);

    lt::entry answer;
    auto const [complete, incomplete] = count(of);
    answer["complete"] = complete;
    answer["incomplete"] = incomplete;
    answer["interval"] = (own ? own_interval : m_limits.interval).count();
    answer["min interval"] = m_limits.min_interval.count();
    if (query->find("compact").value_or("1") == "0") {
        add_peer_list(answer, own_ones, peers, query->find("no_peer_id").value_or("0") != "1");
    } else {
        add_compact_peers(answer, own_ones, peers, peer.is_v6());
    }
    return bencoded(answer);
}

void tracker::add_peer_list(lt::entry& answer, std::vector<endpoint> const& own_ones, chosen_peers const& peers,
                            bool with_id) {
    auto& list = answer["peers"].list();
    auto const entry_of = [](endpoint const& where) {
        lt::entry entry;
        entry["ip"] = where.address().to_string();
        entry["port"] = where.port();
        return entry;
    };
    for (auto const& each : own_ones) {
        list.push_back(entry_of(each));
    }
    for (auto const* const each : peers) {
        auto entry = entry_of(each->where);
        if (with_id) {
            entry["peer id"] = each->id;
        }
        list.push_back(std::move(entry));
    }
}

void tracker::add_compact_peers(lt::entry& answer, std::vector<endpoint> const& own_ones, chosen_peers const& peers,
                                bool v6) {
    std::string compact;
    for (auto const& each : own_ones) {
        append_compact(compact, each);
    }
    for (auto const* const each : peers) {
        append_compact(compact, each->where);
    }
    answer[v6 ? "peers6" : "peers"] = std::move(compact);
    if (v6) {
        answer["peers"] = ""; // some clients require this key in every answer
    }
}

tracker::counts tracker::count(swarm const& of) {
    return {static_cast<std::int64_t>(of.peers.complete()) + (of.own_complete ? 1 : 0),
            static_cast<std::int64_t>(of.peers.incomplete())};
}

void tracker::keep(swarm& of, announcement const& said, clock::time_point now) {
    using kind = announcement::event_kind;
    if (said.event == kind::stopped) {
        m_peers -= of.peers.remove(said.peer) ? 1 : 0;
        return;
    }
    of.completions += said.event == kind::completed ? 1 : 0;
    announced_peer const peer{said.peer, said.peer_id, said.left == 0, now};
    if (of.peers.update(peer) || said.peer.port() == 0) { // on port 0, the client accepts no connections
        return;
    }
    m_peers -= of.peers.make_room_at(said.peer.address(), m_limits.peers_per_address) ? 1 : 0;
    if (of.peers.size() >= m_limits.peers_per_image || m_peers >= m_limits.peers) {
        if (!std::exchange(m_full, true)) {
            log_warning({}, "tracker peer table is full; new peers are answered but not advertised");
        }
        return;
    }
    of.peers.add(peer);
    ++m_peers;
}

tracker::chosen_peers tracker::choose(swarm const& of, announcement const& said, std::size_t wanted) {
    if (said.left == 0 && of.peers.incomplete() == 0) {
        return {};
    }
    return of.peers.sample(wanted, m_random, [&said](announced_peer const& each) {
        auto const itself = each.where == said.peer || each.id == said.peer_id;
        auto const both_complete = said.left == 0 && each.complete;
        return !itself && !both_complete && each.where.address().is_v6() == said.peer.address().is_v6();
    });
}

std::vector<endpoint> tracker::own_endpoints(address const& local, address const& peer) const {
    auto const shard = shard_of(peer, m_own_shards);
    std::vector<endpoint> reached;
    std::vector<endpoint> elsewhere;
    for (auto const& listener : m_own_listeners) {
        if (listener.address().is_v6() != local.is_v6()) {
            continue;
        }
        if (listener.address().is_unspecified() || listener.address() == local) {
            reached.emplace_back(local, port_of_shard(listener.port(), shard));
        } else {
            elsewhere.emplace_back(listener.address(), port_of_shard(listener.port(), shard));
        }
    }
    return reached.empty() ? elsewhere : reached;
}

std::string tracker::scrape(std::string_view target, clock::time_point now) {
    auto const query = query_string::parse(target);
    if (!query) {
        return failure("invalid percent-encoding");
    }
    expire(now);
    lt::entry answer;
    auto& files = answer["files"].dict();
    auto const add = [&files](info_hash const& hash, swarm const& of) {
        auto const [complete, incomplete] = count(of);
        auto& file = files[std::string(hash.bytes())];
        file["complete"] = complete;
        file["downloaded"] = of.completions;
        file["incomplete"] = incomplete;
    };
    auto const asked = query->find_all("info_hash");
    for (auto const bytes : asked) {
        auto const hash = info_hash::from_bytes(bytes);
        if (auto const at = hash ? m_swarms.find(*hash) : m_swarms.end(); at != m_swarms.end()) {
            add(at->first, at->second);
        }
    }
    if (asked.empty()) {
        for (auto const& [hash, of] : m_swarms) {
            add(hash, of);
        }
    }
    return bencoded(answer);
}

void tracker::expire(clock::time_point now) {
    if (now - m_expired < 1s) {
        return;
    }
    m_expired = now;
    for (auto& [hash, of] : m_swarms) {
        m_peers -= of.peers.expire([&](announced_peer const& each) { return now - each.seen > patience(each.id); });
    }
    if (m_peers < m_limits.peers / 2) {
        m_full = false;
    }
}

} // namespace seedbed
