#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/optional.hpp>

#include "daemon/http/http_message.hpp"

namespace seedbed {

/// The body of a response, for Beast: its own bytes, then shared ones, none of which is copied.
struct http_body {
    struct value_type {
        std::string own;
        std::vector<shared_bytes> shared;
    };

    static std::uint64_t size(value_type const& body) noexcept {
        std::uint64_t total = body.own.size();
        for (auto const& each : body.shared) {
            total += each.bytes.size();
        }
        return total;
    }

    class writer {
    public:
        using const_buffers_type = boost::asio::const_buffer;

        template <bool is_request, class Fields>
        writer(boost::beast::http::header<is_request, Fields> const& /*header*/, value_type const& body)
            : m_body(body) {}

        void init(boost::beast::error_code& ec) { ec = {}; }

        /// The next part, and whether another one follows.
        boost::optional<std::pair<const_buffers_type, bool>> get(boost::beast::error_code& ec) {
            ec = {};
            auto const part = m_next++;
            if (part > m_body.shared.size()) {
                return boost::none;
            }
            auto const bytes = part == 0 ? std::string_view(m_body.own) : m_body.shared[part - 1].bytes;
            return std::pair(const_buffers_type(bytes.data(), bytes.size()), part < m_body.shared.size());
        }

    private:
        value_type const& m_body;
        std::size_t m_next = 0;
    };
};

} // namespace seedbed
