#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/http/http_listeners.hpp"
#include "daemon/http/http_server.hpp"
#include "daemon/machine/machine_orders.hpp"
#include "daemon/status/reload_outcome.hpp"
#include "daemon/status/status_collector.hpp"

namespace seedbed {

/// Serves the daemon's status over HTTP:
///
///     /status    the document of status_document.hpp            Unix socket only
///     /board     the document of board_document.hpp             Unix socket only
///     /metrics   Prometheus' text format                        Unix socket, TCP
///     /healthz   200 "ok", or 503 and one line on the hang      Unix socket, TCP
///     /reload    POST: reloads, and answers when that has ended Unix socket only
///
/// and, on the Unix socket only, the paths that its owner adds. The Unix socket has mode 0660 and the group seedbed, if
/// that exists and this process may assign it. A listener that fails is logged and retried at the next apply(): images
/// run without it.
///
/// Threads: confined to the one that runs the io_context; documents are formatted on its own worker.
class control_server {
public:
    /// Calls the receiver with a snapshot, at the latest after the given time.
    using collect = std::function<void(status_collector::clock::duration, status_collector::receiver)>;
    /// Reloads the configuration, and calls the receiver once.
    using reload = std::function<void(reload_receiver)>;

    /// Answers another request on the Unix socket; returns false if it does not know the path.
    using more_paths = std::function<bool(http_request const&, http_respond const&)>;

    /// The machines and their jobs.
    using machine_rows = std::function<std::vector<machine_row>()>;

    /// \param machines, more, reload_with may be empty.
    control_server(boost::asio::io_context& main, collect from, machine_rows machines = {}, more_paths more = {},
                   reload reload_with = {});
    control_server(control_server const&) = delete;
    control_server& operator=(control_server const&) = delete;
    ~control_server();

    /// Listens on these addresses and closes all others. Unchanged listeners keep their connections. \param allow the
    /// clients that may connect over TCP; empty: all.
    void apply(control_settings const& control, metrics_settings const& metrics,
               std::vector<ip_network> const& allow = {});
    /// Closes all listeners and connections.
    void close();

private:
    enum class source : bool { socket, tcp };

    void apply_socket(std::string const& path);
    void apply_tcp(std::vector<ip_endpoint> const& addresses, std::vector<ip_network> const& allow);
    void handle(source from, http_request const& request, http_server::respond const& respond);
    void answer(status_collector::clock::duration patience, http_server::respond const& respond,
                std::function<http_response(status_snapshot const&)> make);

    boost::asio::io_context& m_main;
    collect const m_collect;
    machine_rows const m_machines;
    more_paths const m_more; ///< may be empty
    reload const m_reload;
    std::unique_ptr<http_server> m_socket;
    std::string m_path; ///< of the socket; empty if there is none
    http_listeners m_tcp;
    worker_pool m_writer{"status", 1};
};

} // namespace seedbed
