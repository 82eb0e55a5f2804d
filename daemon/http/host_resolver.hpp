#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

namespace seedbed {

/// Resolves a host name. Without an answer from a DNS server, getaddrinfo(3) blocks for half a minute, and nothing can
/// cancel it: Asio's resolver makes io_context::run() and the end of the program wait for it. This one leaves the call
/// to a detached thread, and forgets it when it is cancelled.
///
/// A pending request does not keep io_context::run() running: the caller needs a timer to limit it anyway.
///
/// Threads: confined to the one that runs the io_context. The receiver is called there, never from within resolve().
class host_resolver {
public:
    using endpoints = std::vector<boost::asio::ip::tcp::endpoint>;
    using receiver = std::function<void(boost::system::error_code const&, endpoints const&)>;
    /// Blocks. Threads: any. Must not throw.
    using lookup = std::function<boost::system::error_code(std::string const& host, endpoints& found)>;

    /// \param find replaces getaddrinfo() in tests.
    explicit host_resolver(boost::asio::io_context& context, lookup find = look_up);
    host_resolver(host_resolver const&) = delete;
    host_resolver& operator=(host_resolver const&) = delete;
    /// Cancels the request.
    ~host_resolver();

    /// Calls \p receive once, unless the request is cancelled first. A pending request is cancelled by the next one.
    void resolve(std::string const& host, std::uint16_t port, receiver receive);
    /// The receiver is no longer called.
    void cancel();

    /// getaddrinfo() for TCP; the ports are 0.
    static boost::system::error_code look_up(std::string const& host, endpoints& found);

private:
    struct request;
    boost::asio::io_context& m_context;
    lookup m_lookup;
    std::shared_ptr<request> m_request;
};

} // namespace seedbed
