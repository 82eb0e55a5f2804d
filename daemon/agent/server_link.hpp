#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/http_client.hpp"
#include "daemon/http/http_url.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

/// Parses the URL of a server, its tracker's HTTP port: "http://HOST[:PORT]", or "HOST[:PORT]", with at most a slash
/// after it. The error quotes the text.
[[nodiscard]] result<http_authority> parse_server_url(std::string const& text);

/// Sends requests to a server and waits for the answers.
///
/// Threads: any; calls block. No state but constants.
class server_link {
public:
    using response = http_client::response;

    /// \param secret null: none.
    server_link(http_authority server, std::shared_ptr<shared_secret const> secret);

    /// "http://192.0.2.1:6969".
    [[nodiscard]] std::string url() const { return "http://" + m_server.text(); }

    /// Requests \p target, at each of the server's addresses until one answers. \return the answer, whatever its
    /// status. The error is the reason, without the server's name.
    [[nodiscard]] result<response> get(std::string const& target, http_client::limits const& allowed = {}) const;

    /// The same for a path and a query, which proves that this machine knows the secret if there is one.
    [[nodiscard]] result<response> ask(std::string const& path, std::string const& query,
                                       std::chrono::milliseconds timeout) const;

private:
    using attempt = std::function<result<response>(boost::asio::ip::tcp::endpoint const&)>;

    [[nodiscard]] result<response> at_each_address(attempt const& from) const;
    [[nodiscard]] result<response> get_from(boost::asio::ip::tcp::endpoint const& from, std::string const& target,
                                            http_client::limits const& allowed) const;
    [[nodiscard]] result<response> ask_at(boost::asio::ip::tcp::endpoint const& from, std::string const& path,
                                          std::string const& query, http_client::limits const& allowed) const;

    http_authority const m_server;
    std::shared_ptr<shared_secret const> const m_secret;
};

} // namespace seedbed
