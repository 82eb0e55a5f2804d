#include "daemon/service/listen_port.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace seedbed {

std::uint16_t port_to_listen_on() {
    using boost::asio::ip::tcp;
    constexpr std::uint16_t usual = 6881;
    for (auto const port : {usual, std::uint16_t{0}}) {
        boost::asio::io_context context;
        tcp::acceptor acceptor(context);
        boost::system::error_code ec;
        acceptor.open(tcp::v4(), ec);
        if (!ec) {
            acceptor.set_option(tcp::acceptor::reuse_address(true), ec); // as libtorrent does
        }
        if (!ec) {
            acceptor.bind({tcp::v4(), port}, ec);
        }
        if (!ec) {
            acceptor.listen(1, ec);
        }
        auto const bound = ec ? tcp::endpoint() : acceptor.local_endpoint(ec);
        if (!ec) {
            return bound.port();
        }
    }
    return usual; // libtorrent will report why it cannot listen on it
}

} // namespace seedbed
