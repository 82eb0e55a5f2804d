#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/ip_network.hpp"

namespace seedbed {

/// A request. Addresses are literals without brackets, and empty on a Unix socket.
struct http_request {
    std::string method; ///< "GET" also for HEAD, whose response is sent without a body
    std::string target; ///< as received: "/announce?info_hash=%12..."
    std::string body;
    std::string peer_address;
    std::uint16_t peer_port = 0;
    std::string local_address; ///< the address that the peer connected to
    std::uint16_t local_port = 0;
    // Header fields as received; empty if missing.
    std::string host;
    std::string accept_encoding;
    std::string range;
    std::string if_range;
    std::string if_none_match;
    std::string if_modified_since;
};

/// Bytes that several responses share. Immutable.
struct shared_bytes {
    std::shared_ptr<std::string const> owner;
    std::string_view bytes; ///< of the owner
};

/// Appends a part to the body of a response without an end. While the client is still receiving a part, only the newest
/// of those that follow waits, so each part must be complete in itself. A client that does not receive a part within
/// the timeout is disconnected. Must be called on the thread of the io_context; does not block. \return whether the
/// connection still exists.
using http_push = std::function<bool(std::shared_ptr<std::string const>)>;

/// Receives a part of a body. Null: it cannot be read.
using http_receive_part = std::function<void(std::shared_ptr<std::string const>)>;

/// The rest of a body, read while it is being sent.
struct http_parts {
    std::uint64_t size = 0; ///< total bytes
    /// Reads the next part, which is not empty, in the background, and then calls the receiver once. Called on the
    /// thread of the io_context, where the receiver must be called, too; not called again before that, nor after the
    /// last part. If a part cannot be read or is too long, the connection ends, so that the client sees that the body
    /// is incomplete.
    std::function<void(http_receive_part)> read_next = {};
};

struct http_response {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> fields = {}; ///< more header fields: name and value
    std::vector<shared_bytes> more_body = {};                     ///< sent after the body, and not copied for that
    http_parts parts = {};                                        ///< sent after the bodies above
    /// If set, the body has no end: this is called when the header has been sent. The bodies are not sent.
    std::function<void(http_push)> on_open = {};
};

struct http_limits {
    std::size_t header_bytes = 8U << 10; ///< maximum size of a request's header, with its first line; otherwise 431
    std::size_t body_bytes = 0;          ///< maximum size of a request's body; otherwise 413
    std::size_t connections = 256;       ///< concurrent, see http_connections::add()
    std::size_t per_address = 32;        ///< concurrent from one address; not limited on a Unix socket
    std::chrono::milliseconds idle_timeout{30'000}; ///< between requests, before the first, and for each of http_parts
    /// For receiving a request, and for sending its response, plus a second for each 100 kB of the response; the bytes
    /// of http_parts do not count.
    std::chrono::milliseconds request_timeout{10'000};
    std::vector<ip_network> allow; ///< clients over TCP; empty: all, see is_allowed()
    bool post = false;             ///< whether the handler accepts POST requests
};

/// Sends a response. Must be called once, on the thread of the io_context, immediately or later. Has no effect if the
/// connection or the server no longer exists.
using http_respond = std::function<void(http_response)>;
/// Responds to a request immediately or later; the connection waits without a limit. An exception is answered with 500
/// and logged.
using http_later_handler = std::function<void(http_request const&, http_respond)>;

} // namespace seedbed
