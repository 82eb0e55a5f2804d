#include "daemon/fleet/report_sender.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

constexpr auto attempt_timeout = 5s;
constexpr auto last_timeout = 2s;
constexpr auto first_pause = 2s; ///< doubled with each failure
constexpr auto repetition = 60s;
constexpr std::size_t longest_answer = 4096;

} // namespace

/// One report on its way to one tracker.
class report_sender::delivery : public std::enable_shared_from_this<delivery> {
public:
    delivery(asio::io_context& context, std::string image, report_url to, std::string info_hash, host_report report,
             std::vector<ip_endpoint> const& listeners)
        : m_image(std::move(image))
        , m_to(std::move(to))
        , m_info_hash(std::move(info_hash))
        , m_report(std::move(report))
        , m_listeners(to_tcp_endpoints(listeners))
        , m_resolver(context)
        , m_stream(context)
        , m_timer(context) {}

    void attempt() {
        m_under_way = true;
        error_code ec;
        if (auto const literal = asio::ip::make_address(m_to.host, ec); !ec) {
            m_targets = {tcp::endpoint(literal, static_cast<std::uint16_t>(std::atoi(m_to.port.c_str())))};
            connect("no address of it can be reached");
            return;
        }
        m_resolver.async_resolve(
            m_to.host, m_to.port,
            [self = shared_from_this()](error_code const& failed, tcp::resolver::results_type found) {
                if (failed) {
                    self->on_failure(failed.message());
                    return;
                }
                self->m_targets.assign(found.begin(), found.end());
                self->connect("no address of it can be reached");
            });
    }

    /// What is under way gets 2 s, and no more follows.
    void end() {
        m_ended = true;
        m_timer.cancel();
        if (m_under_way) {
            m_timer.expires_after(last_timeout);
            m_timer.async_wait([self = shared_from_this()](error_code const& ec) {
                if (!ec) {
                    self->m_resolver.cancel();
                    self->m_stream.close();
                }
            });
        }
    }

private:
    /// Tries the next address; \p otherwise is the failure where there is none.
    void connect(std::string const& otherwise) {
        if (m_targets.empty()) {
            on_failure(otherwise);
            return;
        }
        tcp::endpoint const target = m_targets.front();
        m_targets.erase(m_targets.begin());
        auto const listener = std::ranges::find_if(
            m_listeners, [&](tcp::endpoint const& each) { return each.address().is_v6() == target.address().is_v6(); });
        m_report.host.port(listener != m_listeners.end() ? listener->port() : std::uint16_t{0});
        m_stream.close();
        m_stream.expires_after(m_ended ? last_timeout : attempt_timeout);
        if (listener != m_listeners.end() && !listener->address().is_unspecified()) {
            error_code ec;
            auto& socket = m_stream.socket();
            socket.open(target.protocol(), ec);
            if (!ec) {
                socket.bind({listener->address(), 0}, ec);
            }
            if (ec) {
                connect(ec.message());
                return;
            }
        }
        m_stream.async_connect(target, [self = shared_from_this()](error_code const& ec) {
            if (ec) {
                self->connect(ec.message());
            } else {
                self->write();
            }
        });
    }

    void write() {
        m_report.age = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - m_since);
        m_request = {http::verb::get, m_to.path + "?" + to_query(m_report, m_info_hash), 11};
        m_request.set(http::field::host, m_to.host.find(':') == std::string::npos ? m_to.host + ":" + m_to.port
                                                                                  : "[" + m_to.host + "]:" + m_to.port);
        m_request.set(http::field::user_agent, user_agent());
        m_request.set(http::field::connection, "close");
        http::async_write(m_stream, m_request, [self = shared_from_this()](error_code const& ec, std::size_t) {
            if (ec) {
                self->on_failure(ec.message());
            } else {
                self->read();
            }
        });
    }

    void read() {
        m_buffer.clear();
        m_parser.emplace();
        m_parser->header_limit(longest_answer);
        m_parser->body_limit(longest_answer);
        http::async_read(m_stream, m_buffer, *m_parser, [self = shared_from_this()](error_code const& ec, std::size_t) {
            if (ec) {
                self->on_failure(ec.message());
            } else {
                self->on_answer();
            }
        });
    }

    void on_answer() {
        stop_waiting();
        auto const& answer = m_parser->get();
        if (!answer[http::field::server].starts_with("Seedbed/")) {
            log_debug({m_image, {}, {}}, "the tracker at " + name() + " takes no reports: it is not Seedbed's");
            return;
        }
        if (answer.result() != http::status::ok) {
            on_failure("it answers with status " + std::to_string(answer.result_int()));
            return;
        }
        if (!std::exchange(m_delivered, true)) {
            log_debug({m_image, {}, {}}, std::string("told ") + name() + ": " + to_string(m_report.outcome));
        }
        m_pause = first_pause;
        repeat_after(repetition);
    }

    void on_failure(std::string const& reason) {
        stop_waiting();
        if (!m_delivered && !std::exchange(m_warned, true)) {
            log_warning({m_image, {}, {}}, std::string("the server at ") + name() + " was not told that this is " +
                                               to_string(m_report.outcome) + ": " + reason +
                                               (m_ended ? "" : "; trying again"));
        }
        repeat_after(m_pause);
        m_pause = std::min<std::chrono::seconds>(2 * m_pause, repetition);
    }

    void stop_waiting() {
        m_stream.close();
        m_timer.cancel();
        m_under_way = false;
    }

    void repeat_after(std::chrono::seconds time) {
        if (m_ended) {
            return;
        }
        m_timer.expires_after(time);
        m_timer.async_wait([self = shared_from_this()](error_code const& ec) {
            if (!ec && !self->m_ended) {
                self->attempt();
            }
        });
    }

    [[nodiscard]] std::string name() const { return m_to.host + ":" + m_to.port; }

    std::string const m_image;
    report_url const m_to;
    std::string const m_info_hash; ///< 20 bytes
    host_report m_report;
    clock::time_point const m_since = clock::now();
    std::vector<tcp::endpoint> m_listeners;
    tcp::resolver m_resolver;
    beast::tcp_stream m_stream;
    asio::steady_timer m_timer;
    std::vector<tcp::endpoint> m_targets; ///< not tried yet
    beast::flat_buffer m_buffer;
    http::request<http::empty_body> m_request;
    std::optional<http::response_parser<http::string_body>> m_parser;
    std::chrono::seconds m_pause = first_pause;
    bool m_under_way = false;
    bool m_delivered = false;
    bool m_warned = false;
    bool m_ended = false;
};

report_sender::report_sender(asio::io_context& context, std::function<std::vector<ip_endpoint>()> listeners)
    : m_context(context)
    , m_listeners(std::move(listeners)) {}

report_sender::~report_sender() {
    for (auto const& [image, all] : m_deliveries) {
        for (auto const& each : all) {
            each->end();
        }
    }
}

void report_sender::send(std::string const& image, std::string const& info_hash,
                         std::vector<std::string> const& announce_urls, host_report const& report) {
    forget(image);
    auto const hash = bytes_of_hex(info_hash);
    if (!hash) {
        return;
    }
    std::set<std::string> told;
    for (auto const& url : announce_urls) {
        auto const to = report_url_of(url);
        if (!to || !told.insert(to->host + " " + to->port + to->path).second) {
            continue;
        }
        auto const made = std::make_shared<delivery>(m_context, image, *to, *hash, report, m_listeners());
        m_deliveries[image].push_back(made);
        made->attempt();
    }
}

void report_sender::forget(std::string const& image) {
    auto const at = m_deliveries.find(image);
    if (at == m_deliveries.end()) {
        return;
    }
    for (auto const& each : at->second) {
        each->end();
    }
    m_deliveries.erase(at);
}

} // namespace seedbed
