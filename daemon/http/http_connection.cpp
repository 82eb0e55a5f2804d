#include "daemon/http/http_connection.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/write.hpp>

#include "core/foundation/format_count.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

using namespace std::chrono_literals;

/// How much is read and discarded after a refused request, so that the client sees the response and not a connection
/// reset.
constexpr std::size_t linger_bytes = 1U << 20;
constexpr auto linger_timeout = 2s;
/// A client that receives a long response more slowly is disconnected.
constexpr std::uint64_t least_rate = 100'000; // bytes per second

/// Keeps the kernel from queueing megabytes for a client that receives slowly: they would take memory, and the next
/// part would be accepted only when a third of them has been received, which may take longer than the time for a part.
void limit_unsent(http_connections::socket& socket) {
    constexpr int most_unsent = 128 << 10;
    // A Unix socket does not have this option, and needs it less: its queue is short.
    static_cast<void>(
        ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most_unsent, sizeof(most_unsent)));
}

} // namespace

// --- all connections of a server

http_connections::http_connections(http_later_handler handler, http_limits limits)
    : m_handler(std::move(handler))
    , m_limits(std::move(limits)) {}

bool http_connections::may_connect(http_request const& from) const {
    if (m_limits.allow.empty() || from.peer_address.empty() || from.peer_address == from.local_address) {
        return true; // a Unix socket, or this machine
    }
    auto const address = parse_ip_address(std::string_view(from.peer_address).substr(0, from.peer_address.find('%')));
    return address && is_allowed(m_limits.allow, *address);
}

void http_connections::set_limits(http_limits const& limits) {
    m_limits = limits;
    std::vector<std::shared_ptr<http_connection>> excluded;
    std::ranges::copy_if(m_all, std::back_inserter(excluded),
                         [this](auto const& each) { return !may_connect(each->from()); });
    for (auto const& each : excluded) {
        each->close();
        remove(*each);
    }
}

void http_connections::add(socket accepted, http_request from) {
    if (!may_connect(from)) {
        auto const now = allowance::clock::now();
        if (auto const count = m_refusals.take_left_out(now); count > 0) {
            log_warning({}, "refused " + format_count(count, "more connection") +
                                " from addresses outside [network] allow");
        }
        if (m_refusals.take(now)) {
            log_warning({{}, {}, from.peer_address},
                        "refused a connection from " + from.peer_address + ": not in [network] allow");
        }
        return;
    }
    auto const room = make_room(from.peer_address);
    auto const added = std::make_shared<http_connection>(shared_from_this(), std::move(accepted), std::move(from));
    m_all.push_back(added);
    if (room) {
        added->start();
    } else {
        added->start_refused();
    }
}

bool http_connections::make_room(std::string const& address) {
    auto const at_address =
        std::ranges::count_if(m_all, [&address](auto const& each) { return each->from().peer_address == address; });
    if (!address.empty() && static_cast<std::size_t>(at_address) >= m_limits.per_address) {
        return close_one_of(address);
    }
    return m_all.size() < m_limits.connections || close_one();
}

bool http_connections::close_one() {
    std::map<std::string, std::size_t> counts;
    for (auto const& each : m_all) {
        ++counts[each->from().peer_address];
    }
    using phase = http_connection::phase;
    auto const rank = [&counts](http_connection const& each) { // the highest is closed
        return std::pair(counts[each.from().peer_address], -static_cast<int>(each.current()));
    };
    auto chosen = m_all.end();
    for (auto at = m_all.begin(); at != m_all.end(); ++at) {
        if ((*at)->current() != phase::handling && (chosen == m_all.end() || rank(**at) > rank(**chosen))) {
            chosen = at;
        }
    }
    return close_chosen(chosen);
}

bool http_connections::close_one_of(std::string const& address) {
    using phase = http_connection::phase;
    auto chosen = m_all.end();
    for (auto at = m_all.begin(); at != m_all.end(); ++at) {
        auto const& each = **at;
        if (each.from().peer_address == address && each.current() != phase::handling &&
            (chosen == m_all.end() || each.current() < (*chosen)->current())) {
            chosen = at;
        }
    }
    return close_chosen(chosen);
}

bool http_connections::close_chosen(connection_list::iterator chosen) {
    if (chosen == m_all.end()) {
        return false;
    }
    auto const ended = *chosen;
    m_all.erase(chosen);
    ended->close();
    return true;
}

void http_connections::remove(http_connection const& ended) {
    m_all.remove_if([&](auto const& each) { return each.get() == &ended; });
}

void http_connections::move_to_end(http_connection const& active) {
    auto const at = std::ranges::find_if(m_all, [&](auto const& each) { return each.get() == &active; });
    if (at != m_all.end()) {
        m_all.splice(m_all.end(), m_all, at);
    }
}

void http_connections::close() {
    m_closed = true;
    for (auto const& each : std::exchange(m_all, {})) {
        each->close();
    }
}

// --- one connection

http_connection::http_connection(std::shared_ptr<http_connections> all, http_connections::socket socket,
                                 http_request from)
    : m_all(std::move(all))
    , m_limits(m_all->limits())
    , m_stream(std::move(socket))
    , m_buffer(m_limits.header_bytes + m_limits.body_bytes + 1)
    , m_request(std::move(from)) {}

void http_connection::start() {
    wait_for_request();
}

void http_connection::start_refused() {
    refuse(http::status::service_unavailable);
}

void http_connection::wait_for_request() {
    if (m_buffer.size() > 0) { // the client does not wait for responses
        read_request();
        return;
    }
    m_phase = phase::idle;
    m_stream.expires_after(m_all->under_load(m_limits.idle_timeout));
    m_stream.async_read_some(m_buffer.prepare(m_limits.header_bytes),
                             [self = shared_from_this()](error_code const& ec, std::size_t bytes) {
                                 if (ec || self->m_all->is_closed()) {
                                     self->end();
                                     return;
                                 }
                                 self->m_buffer.commit(bytes);
                                 self->read_request();
                             });
}

void http_connection::read_request() {
    m_phase = phase::receiving;
    m_parser.emplace();
    m_parser->header_limit(static_cast<std::uint32_t>(m_limits.header_bytes));
    m_parser->body_limit(m_limits.body_bytes);
    m_stream.expires_after(m_all->under_load(m_limits.request_timeout));
    http::async_read_header(m_stream, m_buffer, *m_parser,
                            [self = shared_from_this()](error_code const& ec, std::size_t) {
                                if (self->m_all->is_closed()) {
                                    self->end();
                                } else if (ec) {
                                    self->on_bad_request(ec);
                                } else {
                                    self->read_body();
                                }
                            });
}

void http_connection::read_body() {
    // The parser of Boost 1.74 fails an assertion, or reads beyond its buffer, if the last chunk arrives in parts.
    if (m_parser->chunked()) {
        refuse(http::status::length_required);
        return;
    }
    http::async_read(m_stream, m_buffer, *m_parser, [self = shared_from_this()](error_code const& ec, std::size_t) {
        if (self->m_all->is_closed()) {
            self->end();
        } else if (ec) {
            self->on_bad_request(ec);
        } else {
            self->answer();
        }
    });
}

void http_connection::on_bad_request(error_code const& ec) {
    if (ec == http::error::header_limit || (ec == http::error::buffer_overflow && !m_parser->is_header_done())) {
        refuse(http::status::request_header_fields_too_large);
    } else if (ec == http::error::body_limit || ec == http::error::buffer_overflow) {
        refuse(http::status::payload_too_large);
    } else if (ec.category() == make_error_code(http::error::bad_method).category() &&
               ec != http::error::end_of_stream && ec != http::error::partial_message) {
        refuse(http::status::bad_request);
    } else {
        end(); // the client has closed or reset the connection, or is too slow
    }
}

void http_connection::answer() {
    m_phase = phase::handling;
    auto const& message = m_parser->get();
    auto const method = message.method();
    auto const is_head = method == http::verb::head;
    if (method != http::verb::get && !is_head && !(m_limits.post && method == http::verb::post)) {
        refuse(http::status::method_not_allowed);
        return;
    }
    m_request.method = is_head ? "GET" : std::string(message.method_string());
    m_request.target = std::string(message.target());
    m_request.body = message.body();
    m_request.host = std::string(message[http::field::host]);
    m_request.accept_encoding = std::string(message[http::field::accept_encoding]);
    m_request.range = std::string(message[http::field::range]);
    m_request.if_range = std::string(message[http::field::if_range]);
    m_request.if_none_match = std::string(message[http::field::if_none_match]);
    m_request.if_modified_since = std::string(message[http::field::if_modified_since]);
    ask_handler([self = shared_from_this(), version = message.version(), keep = message.keep_alive(),
                 is_head](http_response answered) {
        if (self->m_all->is_closed()) {
            self->end();
        } else {
            self->send(std::move(answered), version, keep, is_head);
        }
    });
}

void http_connection::ask_handler(http_respond const& answer) {
    try {
        m_all->handler()(m_request, answer);
    } catch (std::exception const& failed) {
        log_error({{}, {}, m_request.peer_address}, "HTTP request failed: " + std::string(failed.what()));
        answer({500, "text/plain; charset=utf-8", "internal error\n"});
    }
}

void http_connection::send(http_response answered, unsigned version, bool keep, bool is_head) {
    m_response = {};
    m_response.version(version);
    m_response.result(static_cast<unsigned>(answered.status));
    m_response.set(http::field::content_type, answered.content_type);
    for (auto const& [name, value] : answered.fields) {
        m_response.set(name, value);
    }
    if (answered.on_open) {
        m_response.keep_alive(false); // the end of the connection is the end of the body
        if (is_head) {
            write(false);
        } else {
            write_header(std::move(answered.on_open));
        }
        return;
    }
    m_response.keep_alive(keep);
    http_body::value_type body{std::move(answered.body), std::move(answered.more_body)};
    if (m_response.result() != http::status::not_modified) {
        m_response.content_length(http_body::size(body) + answered.parts.size);
    }
    if (!is_head) {
        m_response.body() = std::move(body);
        m_parts = answered.parts.size > 0 ? std::move(answered.parts) : http_parts{};
    }
    write(false);
}

/// Answers without the handler, and ends the connection: it is unknown where the refused request ends.
void http_connection::refuse(http::status status) {
    m_response = {};
    m_response.result(status);
    m_response.set(http::field::content_type, "text/plain; charset=utf-8");
    if (status == http::status::method_not_allowed) {
        m_response.set(http::field::allow, m_limits.post ? "GET, HEAD, POST" : "GET, HEAD");
    }
    m_response.keep_alive(false);
    m_response.body() = {std::string(http::obsolete_reason(status)) + "\n", {}};
    m_response.prepare_payload();
    write(true);
}

void http_connection::write(bool refused) {
    m_phase = phase::sending;
    m_response.set(http::field::server, user_agent());
    auto const size = http_body::size(m_response.body());
    m_stream.expires_after(m_all->under_load(m_limits.request_timeout) + std::chrono::seconds(size / least_rate));
    http::async_write(m_stream, m_response, [self = shared_from_this(), refused](error_code const& ec, std::size_t) {
        if (ec || self->m_all->is_closed()) {
            self->end();
        } else if (self->m_parts.size > 0) {
            limit_unsent(self->m_stream.socket());
            self->read_next_part();
        } else {
            self->end_response(refused);
        }
    });
}

void http_connection::end_response(bool refused) {
    if (refused || m_response.need_eof()) {
        begin_linger();
    } else {
        m_all->move_to_end(*this);
        wait_for_request();
    }
}

void http_connection::read_next_part() {
    m_parts.read_next([self = shared_from_this()](std::shared_ptr<std::string const> part) {
        if (self->m_all->is_closed() || !part || part->empty() || part->size() > self->m_parts.size) {
            self->end();
        } else {
            self->send_part(std::move(part));
        }
    });
}

void http_connection::send_part(std::shared_ptr<std::string const> part) {
    m_parts.size -= part->size();
    // The same time under load: machines that boot together share a link, and may lose packets and wait for seconds.
    m_stream.expires_after(m_limits.idle_timeout);
    auto const bytes = asio::buffer(*part);
    asio::async_write(m_stream, bytes,
                      [self = shared_from_this(), part = std::move(part)](error_code const& ec, std::size_t) {
                          if (ec || self->m_all->is_closed()) {
                              self->end();
                          } else if (self->m_parts.size > 0) {
                              self->read_next_part();
                          } else {
                              self->m_parts = {};
                              self->end_response(false);
                          }
                      });
}

void http_connection::write_header(std::function<void(http_push)> on_open) {
    m_phase = phase::sending;
    m_response.set(http::field::server, user_agent());
    m_stream.expires_after(m_all->under_load(m_limits.request_timeout));
    m_serializer.emplace(m_response);
    http::async_write_header(
        m_stream, *m_serializer,
        [self = shared_from_this(), on_open = std::move(on_open)](error_code const& ec, std::size_t) {
            if (ec || self->m_all->is_closed()) {
                self->end();
                return;
            }
            on_open([weak = self->weak_from_this()](std::shared_ptr<std::string const> part) {
                auto const connection = weak.lock();
                return connection && connection->push(std::move(part));
            });
        });
}

bool http_connection::push(std::shared_ptr<std::string const> part) {
    if (m_all->is_closed() || !m_stream.socket().is_open()) {
        return false;
    }
    if (m_pushing) {
        m_waiting = std::move(part); // the client is slower than the parts
    } else {
        write_part(std::move(part));
    }
    return true;
}

void http_connection::write_part(std::shared_ptr<std::string const> part) {
    m_pushing = true;
    m_stream.expires_after(m_all->under_load(m_limits.request_timeout));
    auto const bytes = asio::buffer(*part);
    asio::async_write(m_stream, bytes,
                      [self = shared_from_this(), part = std::move(part)](error_code const& ec, std::size_t) {
                          self->m_pushing = false;
                          auto next = std::exchange(self->m_waiting, nullptr);
                          if (ec || self->m_all->is_closed()) {
                              self->end();
                          } else if (next) {
                              self->write_part(std::move(next));
                          }
                      });
}

/// Reads on briefly: closing with unread bytes resets the connection, and the client may lose the response.
void http_connection::begin_linger() {
    error_code ignored; // a socket that cannot be shut down is closed already
    m_stream.socket().shutdown(asio::socket_base::shutdown_send, ignored);
    m_stream.expires_after(linger_timeout);
    m_buffer.consume(m_buffer.size());
    linger(0);
}

void http_connection::linger(std::size_t read) {
    m_stream.async_read_some(m_buffer.prepare(m_limits.header_bytes),
                             [self = shared_from_this(), read](error_code const& ec, std::size_t bytes) {
                                 if (ec || self->m_all->is_closed() || read + bytes > linger_bytes) {
                                     self->end();
                                     return;
                                 }
                                 self->linger(read + bytes);
                             });
}

void http_connection::end() {
    close();
    m_all->remove(*this);
}

} // namespace seedbed
