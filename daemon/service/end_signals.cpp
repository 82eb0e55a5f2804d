#include "daemon/service/end_signals.hpp"

#include <csignal>

namespace seedbed {

void add_end_signals(boost::asio::signal_set& signals) {
    for (auto const number : {SIGTERM, SIGINT, SIGHUP}) {
        struct ::sigaction present = {};
        static_cast<void>(::sigaction(number, nullptr, &present)); // cannot fail: the numbers are valid
        if (present.sa_handler != SIG_IGN) {
            signals.add(number);
        }
    }
}

} // namespace seedbed
