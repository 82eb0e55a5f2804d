#include "daemon/http/host_resolver.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// Blocks all signals in this thread, and so in the threads that it starts.
class blocked_signals {
public:
    blocked_signals() noexcept {
        // Cannot fail, nor can the other calls here: the arguments are valid.
        ::sigset_t all;
        static_cast<void>(::sigfillset(&all));
        static_cast<void>(::pthread_sigmask(SIG_BLOCK, &all, &m_before));
    }
    blocked_signals(blocked_signals const&) = delete;
    blocked_signals& operator=(blocked_signals const&) = delete;
    ~blocked_signals() { static_cast<void>(::pthread_sigmask(SIG_SETMASK, &m_before, nullptr)); }

private:
    ::sigset_t m_before;
};

error_code error_of(int result) {
    switch (result) {
    case EAI_AGAIN:
        return asio::error::host_not_found_try_again;
    case EAI_MEMORY:
        return asio::error::no_memory;
    case EAI_FAIL:
        return asio::error::no_recovery;
    case EAI_SYSTEM:
        return {errno, boost::system::system_category()};
    default:
        return asio::error::host_not_found;
    }
}

} // namespace

/// Shared with the thread, which may outlast the resolver and the io_context.
struct host_resolver::request {
    std::mutex mutex;
    asio::io_context* context; ///< null after a cancel; guarded by mutex
    receiver receive;          ///< used on the io_context's thread only

    request(asio::io_context& run, receiver handler)
        : context(&run)
        , receive(std::move(handler)) {}

    [[nodiscard]] bool cancelled() {
        std::scoped_lock const lock(mutex);
        return context == nullptr;
    }

    static void deliver(std::shared_ptr<request> const& self, error_code const& ec, endpoints found) {
        std::scoped_lock const lock(self->mutex);
        if (self->context != nullptr) {
            asio::post(*self->context, [self, ec, found = std::move(found)] {
                if (!self->cancelled()) {
                    std::exchange(self->receive, nullptr)(ec, found);
                }
            });
        }
    }
};

host_resolver::host_resolver(asio::io_context& context, lookup find)
    : m_context(context)
    , m_lookup(std::move(find)) {}

host_resolver::~host_resolver() {
    cancel();
}

void host_resolver::resolve(std::string const& host, std::uint16_t port, receiver receive) {
    cancel();
    m_request = std::make_shared<request>(m_context, std::move(receive));
    try {
        blocked_signals const blocked;
        std::thread([asked = m_request, find = m_lookup, host, port] {
            endpoints found;
            auto const ec = find(host, found);
            for (auto& each : found) {
                each.port(port);
            }
            request::deliver(asked, ec, std::move(found));
        }).detach();
    } catch (std::system_error const& refused) { // no more threads
        request::deliver(m_request, {refused.code().value(), boost::system::system_category()}, {});
    }
}

void host_resolver::cancel() {
    if (auto const pending = std::exchange(m_request, nullptr)) {
        std::scoped_lock const lock(pending->mutex);
        pending->context = nullptr;
        pending->receive = nullptr;
    }
}

error_code host_resolver::look_up(std::string const& host, endpoints& found) {
    ::addrinfo hints = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    ::addrinfo* list = nullptr;
    if (int const failed = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); failed != 0) {
        return error_of(failed);
    }
    for (auto const* each = list; each != nullptr; each = each->ai_next) {
        asio::ip::tcp::endpoint where;
        if (each->ai_addrlen <= where.capacity()) {
            std::memcpy(where.data(), each->ai_addr, each->ai_addrlen);
            found.push_back(where);
        }
    }
    ::freeaddrinfo(list);
    return {};
}

} // namespace seedbed
