// The bytes of a client of the tracker or of the control socket: whatever it sends, the server ends the connection, or
// answers.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include "daemon/http/http_connection.hpp"
#include "daemon/http/http_file.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/log/logging.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

http_limits limits(bool post) {
    http_limits wanted;
    wanted.header_bytes = 512;
    wanted.body_bytes = post ? 64 : 0;
    wanted.post = post;
    return wanted;
}

void check(http_request const& request, bool post) {
    fuzz::require(request.method == "GET" || (post && request.method == "POST"));
    fuzz::require(request.target.size() <= 512 && request.body.size() <= 64);
    if (auto const query = query_string::parse(request.target)) {
        for (auto const* const key : {"info_hash", "port", ""}) {
            auto const number = query->number(key);
            fuzz::require(!number || *number >= 0);
        }
    }
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    start_logging(log_level::error, [](log_level, std::string_view) {});
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    auto const flags = input.byte();
    auto const post = (flags & 1U) != 0;
    auto const at_once = static_cast<std::size_t>(flags >> 1U); // bytes of each write
    auto const sent = input.rest();

    boost::asio::io_context context{1};
    std::array<int, 2> ends{};
    fuzz::require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    http_connections::socket socket(context);
    socket.assign(boost::asio::generic::stream_protocol(AF_UNIX, 0), ends[0]);
    auto const all = std::make_shared<http_connections>(
        [post](http_request const& request, http_respond const& respond) {
            check(request, post);
            static http_file const file(std::string(200, 'a'));
            if (request.target.starts_with("/file")) {
                auto response = file.answer(request, "text/plain", "head");
                auto const size = http_body::size({response.body, response.more_body});
                fuzz::require(response.status == 416 || (response.status == 304 ? size == 0 : size > 0 && size <= 204));
                respond(std::move(response));
                return;
            }
            respond({200, "text/plain", request.target});
        },
        limits(post));
    all->add(std::move(socket), {});
    auto const settle = [&] {
        std::array<char, 4096> buffer{};
        for (bool moved = true; moved;) {
            context.restart();
            moved = context.poll() > 0;
            while (::recv(ends[1], buffer.data(), buffer.size(), 0) > 0) {
                moved = true;
            }
        }
    };
    for (std::size_t at = 0; at < sent.size();) {
        auto const length = std::min(sent.size() - at, at_once == 0 ? sent.size() : at_once);
        auto const count = ::send(ends[1], sent.data() + at, length, MSG_NOSIGNAL);
        if (count <= 0) {
            break; // the server has closed the connection
        }
        at += static_cast<std::size_t>(count);
        settle();
    }
    fuzz::require(::shutdown(ends[1], SHUT_WR) == 0 || errno == ENOTCONN);
    settle();
    fuzz::require(all->size() == 0); // no client is kept that has gone
    all->close();
    settle();
    fuzz::require(::close(ends[1]) == 0);
    return 0;
}
