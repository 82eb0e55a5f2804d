// The bytes of a server that one of our requests reaches: whatever it sends, the request ends with a response within
// its limits, or with a reason.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>

#include <unistd.h>

#include "daemon/http/http_client.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

namespace asio = boost::asio;
using local = asio::local::stream_protocol;
using outcome = tl::expected<http_client::response, http_client::failure>;

http_client::limits limits() {
    http_client::limits wanted;
    wanted.timeout = std::chrono::minutes(10); // never reached
    wanted.header_bytes = 512;
    wanted.body_bytes = 64;
    return wanted;
}

void check(outcome const& got) {
    if (got) {
        fuzz::require(got->body.size() <= limits().body_bytes);
        fuzz::require(got->server.size() + got->location.size() <= limits().header_bytes);
    } else {
        fuzz::require_line(got.error().reason);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static asio::io_context context{1};
    // A name without a file: the first byte is 0, see unix(7).
    static std::string const name = std::string(1, '\0') + "seedbed-fuzz-" + std::to_string(::getpid());
    static local::acceptor acceptor(context, local::endpoint(name));

    fuzz::input input(data, size);
    auto const flags = input.byte();
    auto const at_once = static_cast<std::size_t>(flags >> 1U); // bytes of each write
    auto const sent = input.rest();
    auto const settle = [] {
        context.restart();
        context.poll();
    };

    int outcomes = 0;
    http_client client(context);
    client.get(http_endpoint::unix_socket(name).value(), {"/status", "localhost", (flags & 1U) != 0}, limits(),
               [&outcomes](outcome const& got) {
                   check(got);
                   ++outcomes;
               });
    settle();
    auto connection = acceptor.accept();
    for (std::size_t at = 0; at < sent.size();) {
        auto const length = std::min(sent.size() - at, at_once == 0 ? sent.size() : at_once);
        boost::system::error_code ec;
        asio::write(connection, asio::buffer(sent.data() + at, length), ec);
        if (ec) {
            break; // the client has closed the connection
        }
        at += length;
        settle();
    }
    connection.close();
    settle();
    fuzz::require(outcomes == 1);
    return 0;
}
