#include "daemon/terminal/keyboard.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// How long the rest of a sequence may take, also over a slow connection.
constexpr std::chrono::milliseconds sequence_patience{100};
constexpr std::size_t bytes_at_once = 1024;

} // namespace

keyboard::keyboard(boost::asio::io_context& context, receiver call)
    : m_call(std::move(call))
    , m_ready(context)
    , m_escape(context) {}

keyboard::~keyboard() = default;

result<void> keyboard::start(int terminal) {
    // Asio makes its descriptors non-blocking, which would affect every program that uses the terminal, so it gets an
    // epoll instead.
    unique_fd watcher(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    if (!watcher || ::epoll_ctl(watcher.get(), EPOLL_CTL_ADD, terminal, &wanted) != 0) {
        return tl::unexpected(errno_error("cannot read keys: epoll", errno));
    }
    boost::system::error_code failed;
    m_ready.assign(watcher.get(), failed);
    if (failed) {
        return tl::unexpected(error{"cannot read keys: " + failed.message()});
    }
    static_cast<void>(watcher.release()); // m_ready's
    m_terminal = terminal;
    wait();
    return {};
}

void keyboard::wait() {
    m_ready.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code const& ec) {
        if (!ec && read_some()) {
            wait();
        }
    });
}

bool keyboard::read_some() {
    pollfd state{m_terminal, POLLIN, 0};
    if (auto const ready = ::poll(&state, 1, 0); ready <= 0) {
        return ready == 0 || errno == EINTR; // another program has taken the bytes
    }
    std::array<char, bytes_at_once> bytes{};
    auto const count = ::read(m_terminal, bytes.data(), bytes.size());
    if (count <= 0) {
        return count < 0 && (errno == EINTR || errno == EAGAIN);
    }
    m_escape.cancel();
    deliver(m_decoder.feed(std::string_view(bytes.data(), static_cast<std::size_t>(count))));
    if (m_decoder.is_waiting()) {
        m_escape.expires_after(sequence_patience);
        m_escape.async_wait([this](boost::system::error_code const& ec) {
            if (!ec) {
                deliver(m_decoder.end_sequence());
            }
        });
    }
    return true;
}

void keyboard::deliver(std::vector<pressed_key> const& keys) {
    if (!keys.empty()) {
        m_call(keys);
    }
}

} // namespace seedbed
