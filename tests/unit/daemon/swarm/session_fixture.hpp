#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "core/backend/served_image.hpp"
#include "core/foundation/error.hpp"
#include "daemon/swarm/torrent_session.hpp"
#include "swarm_fixture.hpp"
#include "wire_peer.hpp"

namespace seedbed::test {

/// One session with at most one torrent.
struct session_with_torrent {
    static constexpr torrent_session::id number = 1;

    session_with_torrent(test_loop& main, test_store& of, network_settings network, peer_room::patience patience = {})
        : loop(main)
        , store(of)
        , session(main.context, of.shared, options_of(std::move(network), patience)) {
        session.when_listening([this](result<void> const& outcome) { listening = outcome; });
    }
    session_with_torrent(test_loop& main, test_store& of, int address)
        : session_with_torrent(main, of, network_on(address)) {}
    session_with_torrent(session_with_torrent const&) = delete;
    session_with_torrent& operator=(session_with_torrent const&) = delete;
    ~session_with_torrent() { session.shut_down()(); }

    void add(torrent_spec const& spec) { session.add(number, spec, listener, {}); }
    void run_until(std::string const& event) {
        loop.run_until([&] { return listener.has(event); });
    }
    /// Returns when the network thread has answered and its earlier posts have run.
    void round_trip() {
        bool answered = false;
        session.ping([&answered] { answered = true; });
        loop.run_until([&answered] { return answered; });
    }
    /// libtorrent updates some numbers once per second.
    void request_progress_until(std::function<bool()> const& condition) {
        auto const deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
        while (!condition()) {
            REQUIRE(std::chrono::steady_clock::now() < deadline);
            session.request_progress();
            round_trip();
        }
    }
    /// A peer from address number \p from that is connected and unchoked.
    [[nodiscard]] std::shared_ptr<wire_peer> connect(int from, int to, int port = 6881);

    test_loop& loop;
    test_store& store;
    recording_listener listener;
    std::optional<result<void>> listening;
    int activities = 0;
    torrent_session session; ///< last: its handlers use the others

private:
    [[nodiscard]] torrent_session::options options_of(network_settings network, peer_room::patience patience) {
        torrent_session::options wanted;
        wanted.thread = "network";
        wanted.network = std::move(network);
        wanted.patience = patience;
        wanted.queued_bytes = 16 << 20;
        wanted.on_activity = [this] { ++activities; };
        wanted.on_peers = [] {};
        return wanted;
    }
};

/// Connects a peer, and returns when it has received a handshake. Tries again until libtorrent has added the torrent:
/// it disconnects peers before that. \param fast whether the peer has the Fast Extension.
inline std::shared_ptr<wire_peer> connect_peer(test_loop& loop, image_torrent const& torrent, int from,
                                               tcp::endpoint const& to, std::string const& peer_id = unique_peer_id(),
                                               bool fast = false) {
    for (;;) {
        auto const peer = wire_peer::create(loop.context, torrent, peer_id);
        if (fast) {
            peer->support_fast();
        }
        peer->connect(endpoint(from).address(), to);
        loop.run_until([&] { return peer->connected || peer->closed; });
        if (peer->connected) {
            return peer;
        }
        peer->close();
    }
}

/// The same, and returns when it is unchoked.
inline std::shared_ptr<wire_peer> connect_unchoked(test_loop& loop, image_torrent const& torrent, int from,
                                                   tcp::endpoint const& to,
                                                   std::string const& peer_id = unique_peer_id(), bool fast = false) {
    auto const peer = connect_peer(loop, torrent, from, to, peer_id, fast);
    peer->send(wire_peer::interested);
    loop.run_until([&] { return peer->count(wire_peer::unchoke) > 0; });
    return peer;
}

inline std::shared_ptr<wire_peer> session_with_torrent::connect(int from, int to, int port) {
    return connect_unchoked(loop, store.storage->torrent(), from, endpoint(to, port));
}

} // namespace seedbed::test
