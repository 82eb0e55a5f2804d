#pragma once

#include <functional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "core/foundation/error.hpp"
#include "daemon/terminal/key_decoder.hpp"

namespace seedbed {

/// Reads keys from a terminal that terminal_screen has prepared. The terminal stays in blocking mode: standard output
/// and other programs use the same open file.
///
/// Threads: confined to the one that runs the io_context.
class keyboard {
public:
    /// Called with at least one key. Keys that arrive together, as pasted text does, come in groups of limited size.
    using receiver = std::function<void(std::vector<pressed_key> const&)>;

    keyboard(boost::asio::io_context& context, receiver call);
    keyboard(keyboard const&) = delete;
    keyboard& operator=(keyboard const&) = delete;
    ~keyboard();

    /// Reads from \p terminal, a descriptor that stays open, until it ends. The error is one line.
    [[nodiscard]] result<void> start(int terminal);

private:
    void wait();
    /// \return whether the terminal is still there.
    [[nodiscard]] bool read_some();
    void deliver(std::vector<pressed_key> const& keys);

    receiver const m_call;
    int m_terminal = -1;
    boost::asio::posix::stream_descriptor m_ready; ///< an epoll(7) that watches the terminal
    boost::asio::steady_timer m_escape;            ///< waits for a sequence after the escape character
    key_decoder m_decoder;
};

} // namespace seedbed
