#include "daemon/swarm/listener_watch.hpp"

#include <algorithm>
#include <utility>

#include "daemon/log/logging.hpp"

namespace seedbed {

void listener_watch::opened(ip_endpoint const& address) {
    ++m_open;
    log_debug({}, "listening on " + to_string(address));
}

void listener_watch::failed(ip_endpoint const& address, std::string const& cause,
                            std::vector<ip_endpoint> const& configured) {
    auto const message = "listen on " + to_string(address) + ": " + cause;
    if (m_settled) {
        log_error({}, message);
    } else if (std::ranges::find(configured, address) != configured.end()) {
        m_error = message;
    } else {
        log_warning({}, message + ", ignoring");
    }
}

void listener_watch::settle() {
    if (std::exchange(m_settled, true)) {
        return;
    }
    if (m_open == 0 && m_error.empty()) {
        m_error = "cannot listen on any of the configured addresses";
    }
    if (auto const handler = std::exchange(m_handler, nullptr)) {
        handler(m_error.empty() ? result<void>{} : tl::unexpected(error{m_error}));
    }
}

} // namespace seedbed
