#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/http_client.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

/// The URL of a server: its tracker's HTTP port.
struct server_url {
    std::string host; ///< a name, or a literal address without brackets
    std::uint16_t port = 6969;

    /// "http://192.0.2.1:6969".
    [[nodiscard]] std::string text() const;
};

/// Parses "http://HOST[:PORT]", or "HOST[:PORT]", with nothing but a slash behind it. IPv6 addresses are in brackets.
/// The error quotes the text.
[[nodiscard]] result<server_url> parse_server_url(std::string const& text);

/// Sends requests to a server and waits for the answers.
///
/// Threads: any; calls block. No state but constants.
class server_link {
public:
    using response = http_client::response;

    /// \param secret null: none.
    server_link(server_url server, std::shared_ptr<shared_secret const> secret);

    [[nodiscard]] server_url const& server() const noexcept { return m_server; }

    /// Requests \p target, at each of the server's addresses until one answers. \return the answer, whatever its
    /// status. The error is the reason, without the server's name.
    [[nodiscard]] result<response> get(std::string const& target, http_client::limits const& allowed = {}) const;

    /// The same for a path and a query, which proves that this machine knows the secret if there is one.
    [[nodiscard]] result<response> ask(std::string const& path, std::string const& query,
                                       std::chrono::milliseconds timeout) const;

private:
    [[nodiscard]] result<std::vector<boost::asio::ip::tcp::endpoint>> resolve() const;
    [[nodiscard]] result<response> get_from(boost::asio::ip::tcp::endpoint const& from, std::string const& target,
                                            http_client::limits const& allowed) const;
    [[nodiscard]] result<response> ask_at(boost::asio::ip::tcp::endpoint const& from, std::string const& path,
                                          std::string const& query, http_client::limits const& allowed) const;

    server_url const m_server;
    std::shared_ptr<shared_secret const> const m_secret;
};

} // namespace seedbed
