#include "daemon/fleet/report_sender.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include <boost/asio/steady_timer.hpp>

#include "daemon/http/host_resolver.hpp"
#include "daemon/http/http_client.hpp"
#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

using clock = std::chrono::steady_clock;

constexpr std::size_t longest_answer = 4096;
constexpr unsigned http_ok = 200;
constexpr unsigned http_forbidden = 403;
constexpr unsigned http_too_long = 431;
constexpr char const* challenge_letters = "0123456789abcdefghijklmnopqrstuvwxyz";

} // namespace

/// One report and one server that receives it.
///
/// Shared with the pending operations, which may end after the sender.
class report_sender::delivery : public std::enable_shared_from_this<delivery> {
public:
    delivery(asio::io_context& context, report_timing const& timing, std::string image, report_target to,
             dispatch const& what, std::vector<tcp::endpoint> listeners, std::shared_ptr<shared_secret const> secret)
        : m_timing(timing)
        , m_image(std::move(image))
        , m_to(std::move(to))
        , m_info_hash(what.hash)
        , m_report(what.report)
        , m_since(what.since)
        , m_listeners(std::move(listeners))
        , m_secret(std::move(secret))
        , m_resolver(context)
        , m_client(context)
        , m_timer(context)
        , m_pause(timing.first_pause) {}

    [[nodiscard]] report_target const& to() const noexcept { return m_to; }

    void attempt() {
        m_under_way = true;
        if (auto const* const address = std::get_if<asio::ip::address>(&m_to.host)) {
            m_addresses = {tcp::endpoint(*address, m_to.port)};
            try_next_address("no address");
            return;
        }
        m_resolver.resolve(std::get<std::string>(m_to.host), m_to.port,
                           [weak = weak_from_this()](error_code const& ec, host_resolver::endpoints const& found) {
                               if (auto const self = weak.lock()) {
                                   self->m_addresses = found;
                                   self->try_next_address(ec ? ec.message() : "no address");
                               }
                           });
    }

    /// Stops the repetition and limits the pending attempt.
    void end() {
        m_ended = true;
        m_timer.cancel();
        if (!m_under_way) {
            return;
        }
        m_timer.expires_after(m_timing.last);
        m_timer.async_wait([self = shared_from_this()](error_code const& ec) {
            if (!ec) {
                self->m_resolver.cancel();
                self->m_client.cancel();
                self->on_failure("no answer within " + format_duration(self->m_timing.last));
            }
        });
    }

private:
    /// \param failure why the attempt fails if no address is left.
    void try_next_address(std::string const& failure) {
        if (m_addresses.empty()) {
            on_failure(failure);
            return;
        }
        auto const address = m_addresses.front();
        m_addresses.erase(m_addresses.begin());
        auto const listener = std::ranges::find_if(m_listeners, [&](tcp::endpoint const& each) {
            return each.address().is_v6() == address.address().is_v6();
        });
        auto const from = listener == m_listeners.end() ? tcp::endpoint() : *listener;
        m_report.host.port(from.port());
        m_report.age = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - m_since);
        http_endpoint const server(address, from.address());
        if (m_secret) {
            ask_for_challenge(server, address.address().to_string());
        } else {
            send(server, to_query(m_report, m_info_hash));
        }
    }

    void ask_for_challenge(http_endpoint const& server, std::string const& address) {
        auto const folder = m_to.path.substr(0, m_to.path.rfind('/') + 1);
        m_client.get(server, {folder + "challenge", authority(m_to)},
                     {m_timing.attempt, longest_answer, longest_answer},
                     [self = shared_from_this(), server, address](auto const& got) {
                         if (got) {
                             self->on_challenge(server, address, *got);
                         } else {
                             self->try_next_address(got.error().reason);
                         }
                     });
    }

    /// A server without a secret has no challenge, and accepts the report without authentication.
    void on_challenge(http_endpoint const& server, std::string const& address, http_client::response const& answer) {
        auto const query = to_query(m_report, m_info_hash);
        auto const challenged = answer.status == http_ok && answer.server.starts_with("Seedbed/") &&
                                answer.body.find_first_not_of(challenge_letters) == std::string::npos;
        send(server, challenged ? authenticated(query, *m_secret, answer.body, address) : query);
    }

    void send(http_endpoint const& server, std::string const& query) {
        m_client.get(server, {m_to.path + "?" + query, authority(m_to)},
                     {m_timing.attempt, longest_answer, longest_answer}, [self = shared_from_this()](auto const& got) {
                         if (got) {
                             self->on_answer(*got);
                         } else {
                             self->try_next_address(got.error().reason);
                         }
                     });
    }

    void on_answer(http_client::response const& answer) {
        stop_waiting();
        if (!answer.server.starts_with("Seedbed/")) {
            log_debug({m_image, {}, {}},
                      "the tracker at " + authority(m_to) + " is not Seedbed's and does not accept reports");
            return;
        }
        if (answer.status == http_too_long && !m_report.receipt.empty()) {
            m_report.receipt.clear(); // [tracker] max_request of that server is small
            attempt();
            return;
        }
        if (answer.status != http_ok) {
            on_failure(answer.status == http_forbidden ? refusal() : "HTTP status " + std::to_string(answer.status));
            return;
        }
        if (!std::exchange(m_delivered, true)) {
            log_debug({m_image, {}, {}}, "reported " + outcome() + " to " + authority(m_to));
        }
        m_pause = m_timing.first_pause;
        repeat_after(m_timing.repetition);
    }

    /// Why the server did not accept the report, as far as this machine knows.
    [[nodiscard]] char const* refusal() const {
        return m_secret ? "the server refuses this machine's proof (another secret, or address translation in between)"
                        : "the server has a secret, and this machine does not know it";
    }

    void on_failure(std::string const& reason) {
        stop_waiting();
        if (!m_delivered && !std::exchange(m_warned, true)) {
            // Servers of earlier versions refuse a report of a start, which they do not need.
            log(m_report.outcome == host_report::outcome_kind::started ? log_level::debug : log_level::warning,
                {m_image, {}, {}},
                "cannot report " + outcome() + " to " + authority(m_to) + ": " + reason +
                    (m_ended ? "" : "; retrying"));
        }
        repeat_after(m_pause);
        m_pause = std::min(2 * m_pause, m_timing.repetition);
    }

    void stop_waiting() {
        m_timer.cancel();
        m_under_way = false;
    }

    void repeat_after(std::chrono::milliseconds time) {
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

    [[nodiscard]] std::string outcome() const { return std::string("\"") + to_string(m_report.outcome) + "\""; }

    report_timing const m_timing;
    std::string const m_image;
    report_target const m_to;
    info_hash const m_info_hash;
    host_report m_report;
    clock::time_point const m_since;
    std::vector<tcp::endpoint> const m_listeners;
    std::shared_ptr<shared_secret const> const m_secret;
    host_resolver m_resolver;
    http_client m_client;
    asio::steady_timer m_timer;
    std::vector<tcp::endpoint> m_addresses; ///< of the server, not tried yet in this attempt
    std::chrono::milliseconds m_pause;
    bool m_under_way = false;
    bool m_delivered = false;
    bool m_warned = false;
    bool m_ended = false;
};

report_sender::report_sender(asio::io_context& context, std::function<std::vector<ip_endpoint>()> listeners,
                             report_timing const& timing, std::shared_ptr<shared_secret const> secret)
    : m_context(context)
    , m_listeners(std::move(listeners))
    , m_timing(timing)
    , m_secret(std::move(secret)) {}

report_sender::~report_sender() {
    for (auto const& [image, what] : m_reports) {
        for (auto const& each : what.deliveries) {
            each->end();
        }
    }
}

void report_sender::send(std::string const& image, info_hash const& hash, std::vector<std::string> const& announce_urls,
                         std::vector<tcp::endpoint> const& peers, host_report const& report) {
    forget(image);
    auto& what = m_reports.emplace(image, dispatch{hash, report, clock::now(), {}}).first->second;
    for (auto const& url : announce_urls) {
        if (auto target = report_target_of(url)) {
            deliver(image, what, std::move(*target));
        }
    }
    for (auto const& peer : peers) {
        deliver(image, what, report_target_of(peer));
    }
}

void report_sender::add_peer(std::string const& image, tcp::endpoint const& peer) {
    if (auto const at = m_reports.find(image); at != m_reports.end()) {
        deliver(image, at->second, report_target_of(peer));
    }
}

void report_sender::deliver(std::string const& image, dispatch& what, report_target to) {
    if (std::ranges::any_of(what.deliveries, [&to](auto const& each) { return each->to() == to; })) {
        return;
    }
    auto const made = std::make_shared<delivery>(m_context, m_timing, image, std::move(to), what,
                                                 to_tcp_endpoints(m_listeners()), m_secret);
    what.deliveries.push_back(made);
    made->attempt();
}

void report_sender::forget(std::string const& image) {
    auto const at = m_reports.find(image);
    if (at == m_reports.end()) {
        return;
    }
    for (auto const& each : at->second.deliveries) {
        each->end();
    }
    m_reports.erase(at);
}

} // namespace seedbed
