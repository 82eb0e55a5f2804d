#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daemon/http/http_message.hpp"

namespace seedbed {

/// The bytes of a file that a request asks for (RFC 9110, 14.2).
struct byte_range {
    std::uint64_t first = 0;
    std::uint64_t length = 0; ///< 0: the range is beyond the end of the file

    friend bool operator==(byte_range const&, byte_range const&) = default;
};

/// The statuses of responses to requests for files.
struct file_status {
    static constexpr int ok = 200;
    static constexpr int partial = 206;
    static constexpr int not_modified = 304;
    static constexpr int no_such_range = 416;
};

/// Parses the value of a Range header for a file of \p size bytes. Nothing if the whole file is to be sent: there is no
/// such header, it is invalid, or it asks for several ranges.
[[nodiscard]] std::optional<byte_range> parse_range(std::string_view header, std::uint64_t size);

/// The header field of a response with a part of a file of \p size bytes.
[[nodiscard]] std::pair<std::string, std::string> content_range(byte_range const& sent, std::uint64_t size);
/// The response if the range is beyond the end of a file of \p size bytes.
[[nodiscard]] http_response no_such_range(std::uint64_t size);

/// Whether the value of an Accept-Encoding header allows gzip.
[[nodiscard]] bool accepts_gzip(std::string_view header);

/// Whether the value of an If-None-Match header lists \p tag, which has its quotes and no comma.
[[nodiscard]] bool lists_tag(std::string_view header, std::string_view tag);

/// A file served from memory, with an ETag, ranges and, if that saves an eighth or more, gzip. The beginning of the
/// file may differ from one request to another.
///
/// Threads: immutable; any thread.
class http_file {
public:
    /// Compresses the bytes, which takes about 30 ns a byte.
    explicit http_file(std::string bytes);

    /// The response to a GET of \p head followed by the file's bytes, which it shares: 200, 206, 304 or 416.
    /// \param head at most 65,535 bytes.
    [[nodiscard]] http_response answer(http_request const& request, std::string const& content_type,
                                       std::string const& head = {}) const;

    [[nodiscard]] std::string const& bytes() const noexcept { return *m_bytes; }

private:
    [[nodiscard]] std::string tag(std::string_view head, bool packed) const;
    [[nodiscard]] http_response packed_answer(std::string const& head) const;
    [[nodiscard]] http_response plain_answer(std::string const& head, byte_range const& wanted) const;

    std::shared_ptr<std::string const> m_bytes;
    std::shared_ptr<std::string const> m_deflated; ///< null if that saves too little
    std::uint32_t m_crc = 0;
    std::string m_digest; ///< hex
};

} // namespace seedbed
