#include "daemon/http/http_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <new>
#include <system_error>
#include <utility>

#include <boost/beast/http/rfc7230.hpp>
#include <openssl/sha.h>
#include <spdlog/fmt/fmt.h>
#include <zlib.h>

namespace seedbed {

namespace http = boost::beast::http;

namespace {

Bytef const* zlib_bytes(std::string_view bytes) {
    return reinterpret_cast<Bytef const*>(bytes.data());
}

std::uint32_t crc_of(std::string_view bytes) {
    return static_cast<std::uint32_t>(::crc32_z(0, zlib_bytes(bytes), bytes.size()));
}

void append_little_endian(std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) {
        to += static_cast<char>(value >> (8 * i) & 0xff);
    }
}

/// The bytes as raw deflate data, or nothing if that saves less than an eighth.
std::shared_ptr<std::string const> deflated(std::string const& bytes) {
    constexpr int raw_window = -MAX_WBITS;
    constexpr int default_memory = 8;
    if (bytes.size() > std::numeric_limits<uInt>::max()) {
        return nullptr;
    }
    ::z_stream stream{};
    if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, raw_window, default_memory, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        throw std::bad_alloc(); // the other arguments are valid
    }
    auto const limit = bytes.size() - bytes.size() / 8;
    auto packed = std::make_shared<std::string>(limit, '\0');
    stream.next_in = const_cast<Bytef*>(zlib_bytes(bytes)); // zlib does not write to it
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed->data());
    stream.avail_out = static_cast<uInt>(limit);
    auto const ended = ::deflate(&stream, Z_FINISH) == Z_STREAM_END;
    packed->resize(limit - stream.avail_out);
    static_cast<void>(::deflateEnd(&stream)); // Z_DATA_ERROR if the data did not fit
    packed->shrink_to_fit();
    return ended ? packed : nullptr;
}

std::optional<std::uint64_t> parse_offset(std::string_view text) {
    std::uint64_t value = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// \param quality the value of "q".
bool is_zero(std::string_view quality) {
    return quality.starts_with('0') && quality.find_first_not_of("0.") == std::string_view::npos;
}

} // namespace

std::optional<byte_range> parse_range(std::string_view header, std::uint64_t size) {
    constexpr std::string_view unit = "bytes=";
    if (!header.starts_with(unit)) {
        return std::nullopt;
    }
    header.remove_prefix(unit.size());
    auto const dash = header.find('-');
    if (dash == std::string_view::npos) {
        return std::nullopt;
    }
    auto const last = parse_offset(header.substr(dash + 1));
    if (dash == 0) { // the last bytes
        return last ? std::optional(byte_range{size - std::min(*last, size), std::min(*last, size)}) : std::nullopt;
    }
    auto const first = parse_offset(header.substr(0, dash));
    auto const open = dash + 1 == header.size();
    if (!first || (!last && !open) || (last && *last < *first)) {
        return std::nullopt;
    }
    if (*first >= size) {
        return byte_range{size, 0};
    }
    auto const end = last ? std::min(*last, size - 1) : size - 1;
    return byte_range{*first, end - *first + 1};
}

std::pair<std::string, std::string> content_range(byte_range const& sent, std::uint64_t size) {
    return {"Content-Range", fmt::format("bytes {}-{}/{}", sent.first, sent.first + sent.length - 1, size)};
}

http_response no_such_range(std::uint64_t size) {
    http_response response;
    response.status = file_status::no_such_range;
    response.body = "the range is beyond the end of the file\n";
    response.fields = {{"Content-Range", fmt::format("bytes */{}", size)}};
    return response;
}

bool accepts_gzip(std::string_view header) {
    std::optional<bool> any;
    for (auto const& [coding, parameters] : http::ext_list({header.data(), header.size()})) {
        auto const refused = std::ranges::any_of(parameters, [](auto const& each) {
            return boost::beast::iequals(each.first, "q") && is_zero({each.second.data(), each.second.size()});
        });
        if (boost::beast::iequals(coding, "gzip")) {
            return !refused;
        }
        if (coding == "*") {
            any = !refused;
        }
    }
    return any.value_or(false);
}

bool lists_tag(std::string_view header, std::string_view tag) {
    constexpr std::string_view blanks = " \t";
    while (!header.empty()) {
        auto const end = std::min(header.find(','), header.size());
        auto each = header.substr(0, end);
        header.remove_prefix(std::min(end + 1, header.size()));
        each.remove_prefix(std::min(each.find_first_not_of(blanks), each.size()));
        each = each.substr(0, each.find_last_not_of(blanks) + 1);
        if (each.starts_with("W/")) {
            each.remove_prefix(2);
        }
        if (each == tag || each == "*") {
            return true;
        }
    }
    return false;
}

http_file::http_file(std::string bytes)
    : m_bytes(std::make_shared<std::string const>(std::move(bytes)))
    , m_deflated(deflated(*m_bytes))
    , m_crc(crc_of(*m_bytes)) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
    ::SHA256(zlib_bytes(*m_bytes), m_bytes->size(), digest.data());
    for (std::size_t i = 0; i < digest.size() / 2; ++i) {
        m_digest += fmt::format("{:02x}", digest.at(i));
    }
}

std::string http_file::tag(std::string_view head, bool packed) const {
    return fmt::format("\"{}{}{}\"", m_digest, head.empty() ? "" : fmt::format("-{:08x}", crc_of(head)),
                       packed ? "-gzip" : "");
}

/// A gzip file (RFC 1952) whose data is a stored block, the head, then the deflated bytes (RFC 1951).
http_response http_file::packed_answer(std::string const& head) const {
    http_response response;
    response.body = std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    if (!head.empty()) {
        response.body += '\0';
        append_little_endian(response.body, head.size(), 2);
        append_little_endian(response.body, ~head.size(), 2);
        response.body += head;
    }
    auto end = std::make_shared<std::string>();
    append_little_endian(*end, ::crc32_combine(crc_of(head), m_crc, static_cast<z_off_t>(m_bytes->size())), 4);
    append_little_endian(*end, head.size() + m_bytes->size(), 4);
    response.more_body = {{m_deflated, *m_deflated}, {end, *end}};
    response.fields = {{"Content-Encoding", "gzip"}};
    return response;
}

http_response http_file::plain_answer(std::string const& head, byte_range const& wanted) const {
    http_response response;
    response.body = head.substr(std::min<std::uint64_t>(wanted.first, head.size()), wanted.length);
    auto const at = wanted.first - std::min<std::uint64_t>(wanted.first, head.size());
    auto const rest = std::string_view(*m_bytes).substr(at, wanted.length - response.body.size());
    if (!rest.empty()) {
        response.more_body = {{m_bytes, rest}};
    }
    return response;
}

http_response http_file::answer(http_request const& request, std::string const& content_type,
                                std::string const& head) const {
    auto const size = head.size() + m_bytes->size();
    auto const plain_tag = tag(head, false);
    auto const packed_tag = tag(head, true);
    auto const in_range = request.if_range.empty() || request.if_range == plain_tag;
    auto const range = in_range ? parse_range(request.range, size) : std::nullopt;
    auto const packed = !range && m_deflated && accepts_gzip(request.accept_encoding);
    auto used_tag = packed ? packed_tag : plain_tag;
    http_response response;
    if (lists_tag(request.if_none_match, plain_tag) || (m_deflated && lists_tag(request.if_none_match, packed_tag))) {
        response.status = file_status::not_modified;
        used_tag = lists_tag(request.if_none_match, plain_tag) ? plain_tag : packed_tag;
    } else if (range && range->length == 0) {
        response = no_such_range(size);
    } else if (range) {
        response = plain_answer(head, *range);
        response.status = file_status::partial;
        response.fields = {content_range(*range, size)};
    } else {
        response = packed ? packed_answer(head) : plain_answer(head, {0, size});
    }
    if (response.status == file_status::ok || response.status == file_status::partial) {
        response.content_type = content_type;
    }
    response.fields.emplace_back("ETag", used_tag);
    response.fields.emplace_back("Accept-Ranges", "bytes");
    response.fields.emplace_back("Vary", "Accept-Encoding");
    response.fields.emplace_back("Cache-Control", "no-cache"); // ask each time whether it has changed
    return response;
}

} // namespace seedbed
