#pragma once

#include <map>
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/ip_endpoint.hpp"
#include "core/foundation/error.hpp"
#include "daemon/http/http_server.hpp"

namespace seedbed {

/// The HTTP servers at a configured list of addresses, which share a handler. Limits hold for each address.
///
/// Threads: confined to the one that runs the io_context.
class http_listeners {
public:
    http_listeners(boost::asio::io_context& context, http_later_handler handler);

    /// What apply() has changed, for the log.
    struct changes {
        std::vector<ip_endpoint> closed;
        std::vector<ip_endpoint> opened;
        std::vector<error> failed; ///< one for each address that cannot be opened
    };
    /// Listens on these addresses and closes all others. Unchanged listeners keep their connections, and get the new
    /// limits, see http_server::set_limits(). An address that fails is tried again at the next call.
    [[nodiscard]] changes apply(std::vector<ip_endpoint> const& addresses, http_limits const& limits);

    /// Closes all listeners and connections.
    void close() { m_servers.clear(); }

    /// In ascending order.
    [[nodiscard]] std::vector<ip_endpoint> addresses() const;

private:
    boost::asio::io_context& m_context;
    http_later_handler m_handler;
    std::map<ip_endpoint, std::unique_ptr<http_server>> m_servers;
};

} // namespace seedbed
