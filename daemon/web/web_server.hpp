#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/http/http_file.hpp"
#include "daemon/http/http_listeners.hpp"
#include "daemon/machine/machine_orders.hpp"
#include "daemon/status/status_collector.hpp"

namespace seedbed {

/// Serves the machines to browsers:
///
///     /         the page
///     /events   server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): a document of
///               board_document.hpp once a second, while a browser is connected
///     /history  the newest deployments that have ended, a document of history_document.hpp
///
/// Read-only. All browsers share a document. A slow browser misses documents, and gets the newest one next. The limits
/// of http_server hold: each address has 16 connections, and if all are in use, the address with the most loses one. A
/// listener that fails is logged and retried at the next apply().
///
/// Threads: confined to the one that runs the io_context; documents are made on its own worker.
class web_server {
public:
    using collect = std::function<void(status_collector::clock::duration, status_collector::receiver)>;
    /// Called on the main thread.
    struct machine_source {
        std::function<std::vector<machine_row>()> rows;
        /// Calls the receiver with the document for /history, or why there is none.
        std::function<void(std::function<void(result<std::string> const&)>)> history;
        std::function<std::string()> last_ended; ///< changes when a deployment ends
    };

    web_server(boost::asio::io_context& main, collect from, machine_source machines);
    web_server(web_server const&) = delete;
    web_server& operator=(web_server const&) = delete;
    ~web_server();

    /// Listens on these addresses and closes all others. \param allow the clients that may connect; empty: all.
    void apply(web_settings const& wanted, std::vector<ip_network> const& allow);
    /// Closes all listeners and connections.
    void close();

    /// The number of browsers that get events.
    [[nodiscard]] std::size_t viewers() const noexcept { return m_viewers.size(); }

private:
    /// For the plot.
    struct sample {
        std::int64_t at = 0;   ///< milliseconds since 1970
        std::int64_t rate = 0; ///< bytes per second that the machines receive
        std::int64_t sent = 0; ///< bytes per second that this daemon sends
    };
    struct document {
        std::shared_ptr<std::string const> event; ///< null: it could not be made
        sample totals;
    };

    void handle(http_request const& request, http_respond const& respond);
    [[nodiscard]] http_response page(http_request const& request) const;
    [[nodiscard]] http_response open_events();
    void answer_history(http_respond const& respond);
    void add_viewer(http_push added);
    [[nodiscard]] std::string samples_event() const;
    void arm();
    void begin_document();
    [[nodiscard]] static document make_document(std::vector<machine_row> const& machines, std::string last_ended,
                                                status_snapshot const& snapshot);
    void on_document(document const& made);

    boost::asio::io_context& m_main;
    collect const m_collect;
    machine_source const m_machines;
    http_file const m_page;
    std::string const m_policy; ///< Content-Security-Policy of the page
    boost::asio::steady_timer m_timer;
    http_listeners m_listeners;
    std::vector<http_push> m_viewers;
    std::shared_ptr<std::string const> m_last; ///< the last event; null while there are no viewers
    std::deque<sample> m_samples;              ///< while there were viewers, the oldest first
    bool m_making = false;                     ///< a document is being made
    bool m_armed = false;
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< expires with this object; for late documents
    worker_pool m_writer{"web", 1};
};

} // namespace seedbed
