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

/// Collects the daemon's status from its parts without waiting for any of them. A snapshot is at most half a second old
/// or, if libtorrent does not answer within the caller's patience, has libtorrent's last numbers. libtorrent is queried
/// at most every half second, however many callers there are.
///
/// Threads: confined to the one that runs the io_context.
class status_collector {
public:
    using clock = std::chrono::steady_clock;
    using receiver = std::function<void(status_snapshot)>;
    using peers_receiver = std::function<void(std::string const& image, std::vector<peer_status> const& peers)>;

    /// The parts. All are called, and call back, on the main thread.
    struct sources {
        /// Everything except peers and silence.
        std::function<status_snapshot()> take;
        /// Requests the progress of all images; calls back when the network threads have answered.
        std::function<void(std::function<void()>)> ask_progress;
        /// Requests the peers of every image; waits for them on the worker. The receiver is released, on any thread,
        /// when the last answer has arrived or no more will.
        std::function<void(worker_pool&, peers_receiver const&)> ask_peers;
    };

    status_collector(boost::asio::io_context& main, sources from);
    status_collector(status_collector const&) = delete;
    status_collector& operator=(status_collector const&) = delete;
    ~status_collector();

    /// Calls \p call with a snapshot, immediately or later.
    void collect(clock::duration patience, receiver call);
    /// Drops all waiting callers.
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
    std::map<std::string, std::shared_ptr<std::vector<peer_status> const>> m_peers; ///< by image, the last answer
    std::weak_ptr<round> m_round;                                                   ///< alive while answers are pending
    clock::time_point m_asked{};                                                    ///< when the current round began
    bool m_answered = true;                                   ///< the network thread has answered in the current round
    clock::time_point m_told{};                               ///< when the last round ended
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< expires with this object; for late answers
    worker_pool m_worker{"peers", 1};
};

} // namespace seedbed
