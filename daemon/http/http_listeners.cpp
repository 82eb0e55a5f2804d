#include "daemon/http/http_listeners.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace seedbed {

http_listeners::http_listeners(boost::asio::io_context& context, http_later_handler handler)
    : m_context(context)
    , m_handler(std::move(handler)) {}

http_listeners::changes http_listeners::apply(std::vector<ip_endpoint> const& addresses, http_limits const& limits) {
    changes made;
    std::erase_if(m_servers, [&](auto const& each) {
        auto const goes = std::ranges::find(addresses, each.first) == addresses.end();
        if (goes) {
            made.closed.push_back(each.first);
        }
        return goes;
    });
    for (auto const& address : addresses) {
        if (auto const open = m_servers.find(address); open != m_servers.end()) {
            open->second->set_limits(limits);
            continue;
        }
        auto server = std::make_unique<http_server>(m_context, m_handler, limits);
        if (auto const opened = server->listen_tcp(to_string(address.address), address.port); !opened) {
            made.failed.push_back(opened.error());
            continue;
        }
        m_servers.emplace(address, std::move(server));
        made.opened.push_back(address);
    }
    return made;
}

std::vector<ip_endpoint> http_listeners::addresses() const {
    std::vector<ip_endpoint> open;
    open.reserve(m_servers.size());
    std::ranges::transform(m_servers, std::back_inserter(open), [](auto const& each) { return each.first; });
    return open;
}

} // namespace seedbed
