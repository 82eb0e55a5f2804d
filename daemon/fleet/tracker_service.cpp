#include "daemon/fleet/tracker_service.hpp"

#include <cstdlib>
#include <optional>
#include <string_view>
#include <utility>

#include "daemon/http/query_string.hpp"
#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

using boost::asio::ip::address;
using boost::asio::ip::tcp;

constexpr std::string_view boot_path = "/boot/";

std::optional<address> parse_address(std::string const& text) {
    boost::system::error_code ec;
    auto const literal = boost::asio::ip::make_address(text, ec);
    return ec ? std::nullopt : std::optional(literal);
}

tracker_limits limits_of(tracker_settings const& wanted) {
    tracker_limits limits;
    limits.interval = std::chrono::ceil<std::chrono::seconds>(wanted.interval);
    limits.min_interval = std::chrono::ceil<std::chrono::seconds>(wanted.min_interval);
    limits.peers_per_image = static_cast<std::size_t>(wanted.peers_per_image);
    limits.peers = static_cast<std::size_t>(wanted.peers);
    limits.peers_per_address = static_cast<std::size_t>(wanted.peers_per_address);
    limits.numwant = static_cast<std::size_t>(wanted.numwant);
    return limits;
}

} // namespace

tracker_service::tracker_service(boost::asio::io_context& context, std::string own_peer_id_prefix, events told)
    : m_own_prefix(std::move(own_peer_id_prefix))
    , m_told(std::move(told))
    , m_tracker(tracker_limits{},
                [this](announcement const& said) { m_told.on_announce(said, m_tracker.patience(said.peer_id)); })
    , m_boot(context,
             [this](std::string const& line) {
                 if (auto const note = m_boot_complaints.take_noting(tracker::clock::now())) {
                     log_warning({}, "boot: " + line + *note);
                 }
             })
    , m_listeners(context,
                  [this](http_request const& request, http_respond const& respond) { handle(request, respond); }) {
    // All machines of a room may announce at the same moment; each request takes a millisecond.
    m_limits.connections = 1024;
    m_limits.per_address = 128; // a room behind one address
}

result<void> tracker_service::apply(tracker_settings const& wanted, network_settings const& network) {
    m_tracker.set_limits(limits_of(wanted));
    m_tracker.set_own(m_own_prefix, to_tcp_endpoints(network.listen), network.shards);
    m_limits.allow = network.allow;
    m_limits.header_bytes = static_cast<std::size_t>(wanted.max_request);

    auto const addresses =
        wanted.enabled ? wanted.listen.value_or(tracker_settings::default_listen()) : std::vector<ip_endpoint>();
    auto const changes = m_listeners.apply(addresses, m_limits);
    for (auto const& each : changes.opened) {
        log_debug({}, "tracker: listening on " + to_string(each));
    }
    result<void> outcome;
    for (auto const& each : changes.failed) {
        if (wanted.listen) {
            outcome = tl::unexpected(error{"tracker: " + each.message});
        } else {
            log_warning({}, "tracker: " + each.message + ", ignoring");
        }
    }
    return outcome;
}

void tracker_service::set_images(std::vector<tracker::image> const& images) {
    m_tracker.set_images(images);
}

void tracker_service::set_boot_folder(std::string const& folder) {
    if (folder == m_boot.folder()) {
        return;
    }
    if (folder.empty()) {
        log_info({}, "boot: the files in " + m_boot.folder() + " are no longer served");
    }
    m_boot.set_folder(folder, [folder](result<void> const& outcome) {
        if (outcome) {
            log_info({}, "boot: the files in " + folder + " are served at " + std::string(boot_path));
        } else {
            log_warning({}, "boot: cannot open " + outcome.error().message +
                                "; its files are served once it can be opened");
        }
    });
}

std::uint16_t tracker_service::port() const {
    std::uint16_t found = 0;
    for (auto const& endpoint : m_listeners.addresses()) {
        if (endpoint.address.is_any()) {
            return endpoint.port;
        }
        found = endpoint.port;
    }
    return found;
}

void tracker_service::close() {
    m_listeners.close();
}

void tracker_service::handle(http_request const& request, http_respond const& respond) {
    if (!m_boot.folder().empty() && request.target.starts_with(boot_path)) {
        auto const path = std::string_view(request.target).substr(0, request.target.find('?'));
        m_boot.answer(request, path.substr(boot_path.size()), respond);
    } else if (!m_told.on_machine || !request.target.starts_with("/machine/")) {
        respond(answer(request));
    } else if (is_authenticated(request, tracker::clock::now())) {
        m_told.on_machine(request, respond);
    } else {
        respond(refuse_stranger(request, "refused a request for a job from "));
    }
}

http_response tracker_service::refuse_stranger(http_request const& request, std::string const& what) {
    if (auto const note = m_refusals.take_noting(tracker::clock::now())) {
        log_warning({{}, {}, request.peer_address},
                    what + request.peer_address + ": its sender does not know the secret" + *note);
    }
    return {403, "text/plain; charset=utf-8", "authentication is required: see secret_file\n"};
}

http_response tracker_service::answer(http_request const& request) {
    auto const peer = parse_address(request.peer_address);
    auto const local = parse_address(request.local_address);
    auto const path = request.target.substr(0, request.target.find('?'));
    if (!peer || !local) { // the client has disconnected
        return {400, "text/plain; charset=utf-8", "no address\n"};
    }
    auto const now = tracker::clock::now();
    if (path == "/announce") {
        return {200, "text/plain", m_tracker.announce(request.target, *peer, *local, now)};
    }
    if (path == "/scrape") {
        return {200, "text/plain", m_tracker.scrape(request.target, now)};
    }
    if (path == "/challenge" && m_secret) {
        return {200, "text/plain", m_challenges.make(request.peer_address, now)};
    }
    if (path == "/report") {
        return take_report(request);
    }
    if (image_catalog::has(request.target)) {
        return m_catalog.answer(request);
    }
    return {404, "text/plain; charset=utf-8", "BitTorrent tracker: /announce, /scrape; images: /images\n"};
}

bool tracker_service::is_authenticated(http_request const& request, tracker::clock::time_point now) const {
    if (!m_secret) {
        return true;
    }
    auto const mark = request.target.find('?');
    auto const query = mark == std::string::npos ? "" : request.target.substr(mark + 1);
    auto const challenge = proven_challenge(query, *m_secret, request.local_address);
    return challenge && m_challenges.is_valid(*challenge, request.peer_address, now);
}

// Its handler changes the fleets. NOLINTNEXTLINE(readability-make-member-function-const)
http_response tracker_service::take_report(http_request const& request) {
    constexpr auto plain = "text/plain; charset=utf-8";
    auto const query = query_string::parse(request.target);
    auto const from = parse_address(request.peer_address);
    if (!query || !from) {
        return {400, plain, "invalid percent-encoding\n"};
    }
    auto const now = tracker::clock::now();
    if (!is_authenticated(request, now)) {
        return refuse_stranger(request, "refused a report from ");
    }
    auto report = read_host_report(*query, *from);
    if (!report) {
        return {400, plain, report.error().message + "\n"};
    }
    report->authenticated = m_secret != nullptr;
    auto const hash = info_hash::from_bytes(query->find("info_hash").value_or(""));
    if (!hash || !m_told.on_report(*hash, *report)) {
        return {404, plain, "this tracker does not serve this torrent\n"};
    }
    return {200, plain, "noted\n"};
}

} // namespace seedbed
