#include "support/inflated.hpp"

#include <array>

#include <zlib.h>

namespace seedbed::test {

std::string inflated(std::string const& gzip) {
    constexpr int gzip_window = 16 + MAX_WBITS;
    ::z_stream stream{};
    if (::inflateInit2(&stream, gzip_window) != Z_OK) {
        return "invalid";
    }
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(gzip.data()));
    stream.avail_in = static_cast<uInt>(gzip.size());
    std::string data;
    std::array<char, 4096> buffer{};
    int state = Z_OK;
    while (state == Z_OK) {
        stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
        stream.avail_out = static_cast<uInt>(buffer.size());
        state = ::inflate(&stream, Z_NO_FLUSH);
        data.append(buffer.data(), buffer.size() - stream.avail_out);
    }
    static_cast<void>(::inflateEnd(&stream));
    return state == Z_STREAM_END && stream.avail_in == 0 ? data : "invalid";
}

} // namespace seedbed::test
