#include "daemon/service/torrent_source.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <nlohmann/json.hpp>

#include "config/value_formats.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/closest_match.hpp"
#include "core/foundation/printable.hpp"
#include "core/foundation/save_file.hpp"
#include "core/foundation/state_file.hpp"
#include "daemon/http/http_client.hpp"
#include "daemon/http/http_fetch.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t tracker_port = 6969;
constexpr std::string_view images_path = "/images/";
constexpr auto connect_time = 10s;
constexpr auto transfer_time = 5min;
constexpr std::int64_t longest_list = 16LL << 20; // bytes of JSON
constexpr std::size_t longest_line = 200;
constexpr unsigned status_ok = 200;
constexpr unsigned status_redirect = 300;
constexpr unsigned status_client_error = 400;
constexpr unsigned status_missing = 404;

/// What to check if a server cannot be reached.
std::string advice_for(error_code const& ec, http_authority const& server, std::int64_t max_size) {
    if (ec == asio::error::connection_refused) {
        return "; is the daemon running there, with its tracker on this port ([tracker] listen)?";
    }
    if (ec == boost::beast::error::timeout || ec == asio::error::host_unreachable ||
        ec == asio::error::network_unreachable) {
        return "; is the server up, and does its firewall let TCP port " + std::to_string(server.port) + " in?";
    }
    if (ec == boost::beast::http::error::body_limit) {
        return "; the limit is " + format_byte_size(max_size) + " ([memory] max_torrent)";
    }
    if (ec == boost::beast::http::error::end_of_stream || ec == asio::error::connection_reset) {
        return "; it has disconnected: does its [network] allow include this machine?";
    }
    return "";
}

/// One request after another to a server, each to the first of its addresses that can be connected.
class server_connection {
public:
    explicit server_connection(http_authority server)
        : m_server(std::move(server)) {}

    /// Blocks. The error is one line.
    [[nodiscard]] result<http_client::response> get(std::string const& target, std::int64_t max_size) {
        if (m_addresses.empty()) {
            auto resolved = resolve_server(m_server);
            if (!resolved) {
                return tl::unexpected(error{"cannot resolve " + m_server.host + ": " + resolved.error().message});
            }
            m_addresses = std::move(*resolved);
        }
        http_client::limits limits;
        limits.timeout = transfer_time;
        limits.connect_timeout = connect_time;
        limits.body_bytes = static_cast<std::uint64_t>(max_size);
        result<http_client::response> outcome = tl::unexpected(error{});
        for (auto const& address : m_addresses) {
            auto got = fetch(address, m_server, target, limits);
            if (got) {
                m_addresses = {address};
                return std::move(*got);
            }
            outcome = tl::unexpected(error{"cannot get " + target + " from " + m_server.text() + ": " +
                                           got.error().reason + advice_for(got.error().code, m_server, max_size)});
        }
        return outcome;
    }

private:
    http_authority m_server;
    std::vector<asio::ip::tcp::endpoint> m_addresses;
};

std::optional<std::vector<std::string>> names_in(std::string const& list) {
    auto const document = nlohmann::json::parse(list, nullptr, false);
    if (!document.is_object() || !document.contains("images") || !document["images"].is_array()) {
        return std::nullopt;
    }
    std::vector<std::string> names;
    for (auto const& each : document["images"]) {
        if (each.is_object() && each.contains("name") && each["name"].is_string()) {
            names.push_back(each["name"].get<std::string>());
        }
    }
    return names;
}

std::string first_line(std::string_view text) {
    return printable(text.substr(0, std::min(text.find('\n'), longest_line)));
}

/// Why the response is not the .torrent.
std::string refusal_text(http_url const& url, http_client::response const& response, server_connection& server) {
    auto const shown = "http://" + url.server.text() + url.target;
    if (response.status >= status_redirect && response.status < status_client_error) {
        return shown + ": redirects to '" + printable(response.location) + "', which is not followed; pass that URL";
    }
    if (response.status == status_missing && url.target.starts_with(images_path)) {
        auto const list = server.get("/images", longest_list);
        auto const names = list && list->status == status_ok ? names_in(list->body) : std::nullopt;
        if (names) {
            return unknown_image_text(url, *names);
        }
    }
    auto const line = first_line(response.body);
    return shown + ": HTTP status " + std::to_string(response.status) + (line.empty() ? "" : ": " + line);
}

result<std::string> read_from_server(http_url const& url, std::int64_t max_size) {
    server_connection server(url.server);
    auto response = server.get(url.target, max_size);
    if (!response) {
        return tl::unexpected(response.error());
    }
    return response->status == status_ok ? result<std::string>(std::move(response->body))
                                         : tl::unexpected(error{refusal_text(url, *response, server)});
}

/// The terminal of the process becomes its standard input. Without one, nothing changes: there is no user to ask.
void reopen_terminal() {
    unique_fd const terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC));
    if (terminal && ::isatty(STDERR_FILENO) == 1) {
        static_cast<void>(
            ::dup2(terminal.get(), STDIN_FILENO)); // if it fails, the command says that the user cannot confirm
    }
}

} // namespace

std::string torrent_source::name() const {
    switch (from) {
    case kind::file:
        return path;
    case kind::standard_input:
        return "standard input";
    case kind::server:
        return "http://" + url.server.text() + url.target;
    }
    return "";
}

result<torrent_source> parse_torrent_source(std::string const& text, std::string const& server) {
    using kind = torrent_source::kind;
    auto const is_url = text.find("://") != std::string::npos;
    if (!server.empty()) {
        auto const authority = parse_authority(server, tracker_port);
        if (!authority) {
            return tl::unexpected(error{"--server " + server + ": expected HOST, HOST:PORT or [IPV6]:PORT"});
        }
        if (auto const wrong = check_name_of_image(text)) {
            return tl::unexpected(error{"--server: " + wrong->message});
        }
        return torrent_source{kind::server, {}, {*authority, std::string(images_path) + text}};
    }
    if (is_url) {
        return parse_http_url(text).map([](http_url const& url) { return torrent_source{kind::server, {}, url}; });
    }
    if (text == "-") {
        return torrent_source{kind::standard_input};
    }
    std::error_code ec;
    auto const path = std::filesystem::absolute(text, ec).string();
    if (ec) {
        return tl::unexpected(error{"cannot determine the current folder: " + ec.message()});
    }
    return torrent_source{kind::file, path};
}

result<std::string> read_torrent(torrent_source const& source, std::int64_t max_size) {
    return source.from == torrent_source::kind::server ? read_from_server(source.url, max_size)
                                                       : read_standard_input(max_size);
}

result<std::string> read_standard_input(std::int64_t max_size) {
    if (::isatty(STDIN_FILENO) == 1) {
        return tl::unexpected(error{"standard input is a terminal: redirect a .torrent to it"});
    }
    auto bytes = read_to_end(STDIN_FILENO, "standard input", max_size);
    if (bytes && static_cast<std::int64_t>(bytes->size()) > max_size) {
        return tl::unexpected(error{"standard input: larger than the limit of " + format_byte_size(max_size) +
                                    " ([memory] max_torrent)"});
    }
    if (bytes) {
        reopen_terminal();
    }
    return bytes;
}

std::string unknown_image_text(http_url const& url, std::vector<std::string> const& names) {
    constexpr std::size_t most_names = 20;
    auto const name = percent_decoded(std::string_view(url.target).substr(images_path.size())).value_or(url.target);
    auto text = url.server.text() + " serves no image '" + printable(name) + "'";
    if (auto const meant = closest_match(name, names)) {
        text += " (did you mean '" + *meant + "'?)";
    }
    if (names.empty()) {
        return text + "; at present it serves none: see 'seedbed status' there";
    }
    text += "; it serves ";
    for (std::size_t i = 0; i < std::min(names.size(), most_names); ++i) {
        text += (i == 0 ? "" : ", ") + printable(names[i]);
    }
    return names.size() <= most_names ? text : text + " and " + std::to_string(names.size() - most_names) + " more";
}

result<memory_file> memory_file::make(std::string const& bytes) {
    unique_fd fd(::memfd_create("torrent", MFD_CLOEXEC));
    if (!fd || !write_all(fd.get(), bytes)) {
        return tl::unexpected(errno_error("a copy of the .torrent in memory", errno));
    }
    return memory_file(std::move(fd));
}

} // namespace seedbed
