#include "daemon/web/web_server.hpp"

#include <array>
#include <chrono>
#include <exception>
#include <string_view>
#include <utility>

#include <boost/asio/post.hpp>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <spdlog/fmt/fmt.h>

#include "daemon/log/logging.hpp"
#include "daemon/status/board_document.hpp"
#include "daemon/web/page.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto document_interval = 1s;
/// How long to wait for libtorrent's answer before using its last numbers.
constexpr auto web_libtorrent_patience = 500ms;
/// Five minutes.
constexpr std::size_t most_samples = 300;

http_limits web_limits(std::vector<ip_network> const& allow) {
    http_limits wanted;
    wanted.connections = 64;
    wanted.per_address = 16;
    wanted.allow = allow;
    return wanted;
}

/// The source of a Content-Security-Policy that permits the page's only element \p name: a hash of its text
/// (https://www.w3.org/TR/CSP3/#external-hash).
std::string hash_source(std::string_view page, std::string const& name) {
    auto const opening = "<" + name + ">";
    auto const begin = page.find(opening) + opening.size();
    auto const text = page.substr(begin, page.find("</" + name + ">", begin) - begin);
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(reinterpret_cast<unsigned char const*>(text.data()), text.size(), digest.data());
    std::array<unsigned char, 4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1> base64{}; // with a zero at the end
    auto const length = ::EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(digest.size()));
    return "'sha256-" + std::string(base64.begin(), base64.begin() + length) + "'";
}

/// Nothing but the page's own style and script, and its events; no text becomes HTML.
std::string policy(std::string_view page) {
    return "default-src 'none'; style-src " + hash_source(page, "style") + "; script-src " +
           hash_source(page, "script") +
           "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
           "require-trusted-types-for 'script'; trusted-types 'none'";
}

void add_headers(http_response& response) {
    for (auto const& [name, value] :
         {std::pair("X-Content-Type-Options", "nosniff"), std::pair("Referrer-Policy", "no-referrer"),
          std::pair("Cross-Origin-Resource-Policy", "same-origin")}) {
        response.fields.emplace_back(name, value);
    }
}

} // namespace

web_server::web_server(boost::asio::io_context& main, collect from, machine_source machines)
    : m_main(main)
    , m_collect(std::move(from))
    , m_machines(std::move(machines))
    , m_page(std::string(page_text()))
    , m_policy(policy(page_text()))
    , m_timer(main)
    , m_listeners(main,
                  [this](http_request const& request, http_respond const& respond) { handle(request, respond); }) {}

web_server::~web_server() = default;

void web_server::apply(web_settings const& wanted, std::vector<ip_network> const& allow) {
    auto const changes = m_listeners.apply(wanted.listen, web_limits(allow));
    for (auto const& each : changes.closed) {
        log_info({}, "the web page is no longer served at " + to_string(each));
    }
    for (auto const& each : changes.failed) {
        log_error({}, "web page: " + each.message);
    }
    for (auto const& each : changes.opened) {
        log_info({}, "the web page is served at http://" + to_string(each) + "/");
    }
}

void web_server::close() {
    m_listeners.close();
    m_viewers.clear();
    m_last.reset();
    m_timer.cancel();
}

void web_server::handle(http_request const& request, http_respond const& respond) {
    auto const path = std::string_view(request.target).substr(0, request.target.find('?'));
    if (path == "/") {
        respond(page(request));
    } else if (path == "/events") {
        respond(open_events());
    } else if (path == "/history") {
        answer_history(respond);
    } else {
        respond({404, "text/plain; charset=utf-8", "try /\n"});
    }
}

http_response web_server::page(http_request const& request) const {
    auto response = m_page.answer(request, "text/html; charset=utf-8");
    response.fields.emplace_back("Content-Security-Policy", m_policy);
    add_headers(response);
    return response;
}

http_response web_server::open_events() {
    http_response response{200, "text/event-stream", {}};
    response.fields = {{"Cache-Control", "no-store"}};
    add_headers(response);
    response.on_open = [this](http_push push) { add_viewer(std::move(push)); };
    return response;
}

void web_server::answer_history(http_respond const& respond) {
    m_machines.history([respond](result<std::string> const& text) {
        auto response = text ? http_response{200, "application/json", *text}
                             : http_response{503, "text/plain; charset=utf-8", text.error().message + "\n"};
        response.fields = {{"Cache-Control", "no-store"}};
        add_headers(response);
        respond(std::move(response));
    });
}

void web_server::add_viewer(http_push added) {
    auto const first = "retry: 2000\n" + samples_event() + (m_last ? *m_last : std::string());
    if (!added(std::make_shared<std::string const>(first))) {
        return;
    }
    m_viewers.push_back(std::move(added));
    if (!m_making && !m_armed) {
        begin_document();
    }
}

std::string web_server::samples_event() const {
    std::string samples;
    for (auto const& each : m_samples) {
        samples += fmt::format("{}[{},{},{}]", samples.empty() ? "" : ",", each.at, each.rate, each.sent);
    }
    return "event: samples\ndata: [" + samples + "]\n\n";
}

void web_server::arm() {
    m_armed = true;
    m_timer.expires_after(document_interval);
    m_timer.async_wait([this, alive = std::weak_ptr(m_alive)](boost::system::error_code const& ec) {
        if (alive.expired()) {
            return;
        }
        m_armed = false;
        if (!ec) {
            begin_document();
        }
    });
}

void web_server::begin_document() {
    m_making = true;
    m_collect(web_libtorrent_patience, [this, alive = std::weak_ptr(m_alive)](status_snapshot snapshot) {
        if (alive.expired()) {
            return;
        }
        m_writer.submit([this, alive, &main = m_main, machines = m_machines.rows(),
                         last_ended = m_machines.last_ended(), snapshot = std::move(snapshot)] {
            boost::asio::post(main, [this, alive, made = make_document(machines, last_ended, snapshot)] {
                if (!alive.expired()) {
                    on_document(made);
                }
            });
        });
    });
}

/// Must not throw: it runs on a worker.
web_server::document web_server::make_document(std::vector<machine_row> const& machines, std::string last_ended,
                                               status_snapshot const& snapshot) {
    try {
        auto board = make_board(machines, snapshot);
        board.last_ended = std::move(last_ended);
        document made;
        made.event = std::make_shared<std::string const>("data: " + to_board_document(board, snapshot) + "\n\n");
        made.totals.at =
            std::chrono::duration_cast<std::chrono::milliseconds>(snapshot.taken.time_since_epoch()).count();
        made.totals.rate = static_cast<std::int64_t>(board.rate);
        for (auto const& image : snapshot.images) {
            made.totals.sent += image.status.upload_rate;
        }
        return made;
    } catch (std::exception const& failed) {
        log_error({}, "cannot make the web page's document: " + std::string(failed.what()));
        return {};
    }
}

void web_server::on_document(document const& made) {
    m_making = false;
    if (made.event) {
        m_last = made.event;
        m_samples.push_back(made.totals);
        if (m_samples.size() > most_samples) {
            m_samples.pop_front();
        }
        std::erase_if(m_viewers, [&made](http_push const& push) { return !push(made.event); });
    }
    if (m_viewers.empty()) {
        m_last.reset();
    } else {
        arm();
    }
}

} // namespace seedbed
