#include "daemon/status/control_server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/post.hpp>

#include "daemon/log/logging.hpp"
#include "daemon/status/board_document.hpp"
#include "daemon/status/metrics.hpp"
#include "daemon/status/status_document.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr unsigned socket_mode = 0660;
constexpr char const* socket_group = "seedbed";
/// How long to wait for libtorrent's answer before using its last numbers.
constexpr auto status_patience = 1s;

http_limits limits() {
    http_limits wanted;
    wanted.connections = 64;
    wanted.per_address = 16;
    return wanted;
}

http_limits socket_limits() {
    auto wanted = limits();
    wanted.post = true;
    return wanted;
}

http_response text(int status, std::string body) {
    return {status, "text/plain; charset=utf-8", std::move(body)};
}

/// The group to assign to the socket; nothing if the socket has it anyway or this process may not assign it.
std::optional<std::string> group_to_give() {
    std::vector<char> memory(16U << 10);
    group entry{};
    group* found = nullptr;
    if (::getgrnam_r(socket_group, &entry, memory.data(), memory.size(), &found) != 0 || found == nullptr ||
        found->gr_gid == ::getegid()) {
        return std::nullopt;
    }
    std::vector<gid_t> own(64);
    auto const count = ::getgroups(static_cast<int>(own.size()), own.data());
    own.resize(static_cast<std::size_t>(std::max(count, 0)));
    auto const may = ::geteuid() == 0 || std::ranges::find(own, found->gr_gid) != own.end();
    return may ? std::optional<std::string>(socket_group) : std::nullopt;
}

/// Creates the folder of a socket if its parent exists: /run is empty after a boot. \return 0, or an errno if the
/// folder cannot hold a socket.
int prepare_folder(std::string const& path) {
    auto const folder = std::filesystem::path(path).parent_path().string();
    if (::mkdir(folder.c_str(), 0755) == 0) {
        return ::chmod(folder.c_str(), 0755) == 0 ? 0 : errno; // regardless of the umask
    }
    if (errno != EEXIST) {
        return errno;
    }
    return ::access(folder.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
}

using maker = std::function<http_response(status_snapshot const&)>;

/// Must not throw: it runs on a worker.
http_response make_safely(maker const& make, status_snapshot const& snapshot) {
    try {
        return make(snapshot);
    } catch (std::exception const& failed) {
        log_error({}, "cannot write the status document: " + std::string(failed.what()));
        return text(500, "internal error\n");
    }
}

} // namespace

control_server::control_server(boost::asio::io_context& main, collect from, machine_rows machines, more_paths more,
                               reload reload_with)
    : m_main(main)
    , m_collect(std::move(from))
    , m_machines(std::move(machines))
    , m_more(std::move(more))
    , m_reload(std::move(reload_with))
    , m_tcp(main, [this](http_request const& request, http_respond const& respond) {
        handle(source::tcp, request, respond);
    }) {}

control_server::~control_server() = default;

void control_server::apply(control_settings const& control, metrics_settings const& metrics,
                           std::vector<ip_network> const& allow) {
    apply_socket(control.socket);
    apply_tcp(metrics.listen, allow);
}

void control_server::close() {
    m_socket.reset();
    m_path.clear();
    m_tcp.close();
}

void control_server::apply_socket(std::string const& path) {
    if (path == m_path) {
        return;
    }
    if (!m_path.empty()) {
        log_info({}, "control socket closed: " + m_path);
        m_socket.reset();
        m_path.clear();
    }
    if (path.empty()) {
        return;
    }
    if (auto const code = prepare_folder(path); code != 0) {
        log_info({}, "no control socket, \"seedbed status\" will not work: " +
                         errno_error(std::filesystem::path(path).parent_path().string(), code).message);
        return;
    }
    auto server = std::make_unique<http_server>(
        m_main,
        [this](http_request const& request, http_server::respond const& respond) {
            handle(source::socket, request, respond);
        },
        socket_limits());
    if (auto const opened = server->listen_unix(path, socket_mode, group_to_give()); !opened) {
        log_warning({}, "no control socket, \"seedbed status\" will not work: " + opened.error().message);
        return;
    }
    log_debug({}, "control socket " + path);
    m_socket = std::move(server);
    m_path = path;
}

void control_server::apply_tcp(std::vector<ip_endpoint> const& addresses, std::vector<ip_network> const& allow) {
    auto tcp_limits = limits();
    tcp_limits.allow = allow;
    auto const changes = m_tcp.apply(addresses, tcp_limits);
    for (auto const& each : changes.closed) {
        log_info({}, "metrics are no longer served at " + to_string(each));
    }
    for (auto const& each : changes.failed) {
        log_error({}, "metrics: " + each.message);
    }
    for (auto const& each : changes.opened) {
        log_info({}, "metrics are served at " + to_string(each));
    }
}

void control_server::handle(source from, http_request const& request, http_server::respond const& respond) {
    auto const path = std::string_view(request.target).substr(0, request.target.find('?'));
    auto const posted = request.method == "POST";
    if (path == "/reload" && from == source::socket && m_reload && posted) {
        m_reload([respond](reload_outcome const& outcome) {
            respond({200, "application/json", to_reload_document(outcome) + "\n"});
        });
    } else if (path == "/reload" || posted) {
        respond(text(405, path == "/reload" ? "POST it to the control socket\n" : "use GET\n"));
    } else if (path == "/status" && from == source::socket) {
        answer(status_patience, respond, [](status_snapshot const& snapshot) -> http_response {
            return {200, "application/json", to_status_document(snapshot) + "\n"};
        });
    } else if (path == "/board" && from == source::socket && m_machines) {
        auto const machines = std::make_shared<std::vector<machine_row> const>(m_machines());
        answer(status_patience, respond, [machines](status_snapshot const& snapshot) -> http_response {
            auto const board = make_board(*machines, snapshot);
            return {200, "application/json", to_board_document(board, snapshot, most_operator_rows) + "\n"};
        });
    } else if (path == "/metrics") {
        answer(status_patience, respond, [](status_snapshot const& snapshot) -> http_response {
            return {200, metrics_content_type, to_metrics(snapshot)};
        });
    } else if (path == "/healthz") {
        answer(network_patience, respond, [](status_snapshot const& snapshot) {
            auto const complaint = snapshot.complaint();
            return complaint.empty() ? text(200, "ok\n") : text(503, complaint + "\n");
        });
    } else if (from != source::socket || !m_more || !m_more(request, respond)) {
        respond(text(404, from == source::socket ? "try /status, /board, /metrics, /healthz or POST /reload\n"
                                                 : "try /metrics or /healthz\n"));
    }
}

void control_server::answer(status_collector::clock::duration patience, http_server::respond const& respond,
                            std::function<http_response(status_snapshot const&)> make) {
    m_collect(patience, [this, respond = respond, make = std::move(make)](status_snapshot snapshot) mutable {
        // The connection belongs to the main thread: the worker must not keep any part of it.
        m_writer.submit([&main = m_main, respond = std::move(respond), make, snapshot = std::move(snapshot)]() mutable {
            auto response = make_safely(make, snapshot);
            boost::asio::post(main, [respond = std::move(respond), response = std::move(response)]() mutable {
                respond(std::move(response));
            });
        });
    });
}

} // namespace seedbed
