#pragma once

#include <boost/asio/signal_set.hpp>

namespace seedbed {

/// Adds the signals that ask a program in the foreground to end, SIGTERM, SIGINT and SIGHUP, but those that are
/// ignored: whoever started it (nohup, a shell's background) wants that to stay so.
void add_end_signals(boost::asio::signal_set& signals);

} // namespace seedbed
