#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/foundation/worker_pool.hpp"
#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// Gathers what the daemon does from its parts, none of which it waits for: whoever asks gets a snapshot that is at
/// most half a second old, or, where libtorrent takes longer than he has patience, with the numbers it told last.
/// However many ask, and however often, libtorrent is asked once in half a second.
///
/// Threads: confined to the one that runs the io_context.
class status_collector {
public:
    using clock = std::chrono::steady_clock;
    using receiver = std::function<void(status_snapshot)>;
    using peers_receiver = std::function<void(std::string const& image, std::vector<peer_status> const& peers)>;

    /// Where it asks; all of these are called, and call back, on the main thread.
    struct sources {
        /// Everything but peers and silence.
        std::function<status_snapshot()> take;
        /// Asks the images for their progress, and calls when the network thread has told it.
        std::function<void(std::function<void()>)> ask_progress;
        /// Asks for the peers of every image, waiting on the worker. The receiver is let go of, on any thread, when all
        /// have been told, or will not be.
        std::function<void(worker_pool&, peers_receiver const&)> ask_peers;
    };

    status_collector(boost::asio::io_context& main, sources from);
    status_collector(status_collector const&) = delete;
    status_collector& operator=(status_collector const&) = delete;
    ~status_collector();

    /// Calls \p call with a snapshot, at once or later.
    void collect(clock::duration patience, receiver call);
    /// Forgets whoever waits.
    void close();

private:
    struct round;
    struct asker {
        clock::time_point until;
        receiver call;
    };

    void begin_round();
    void end_round();
    void answer(std::vector<asker> const& askers);
    void answer_impatient();
    void arm_timer();

    boost::asio::io_context& m_main;
    sources const m_from;
    boost::asio::steady_timer m_timer;
    std::vector<asker> m_waiting;
    std::map<std::string, std::shared_ptr<std::vector<peer_status> const>> m_peers; ///< by image, as told last
    std::weak_ptr<round> m_round;                             ///< libtorrent is being asked while it is there
    clock::time_point m_asked{};                              ///< when the present round began
    bool m_answered = true;                                   ///< the network thread has answered in the present round
    clock::time_point m_told{};                               ///< when the last round ended
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< for what comes back after this has gone
    worker_pool m_worker{"peers", 1};
};

} // namespace seedbed
