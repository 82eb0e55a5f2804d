#include "daemon/http/http_file.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include <catch2/catch.hpp>

#include "support/inflated.hpp"

using namespace seedbed;
using seedbed::test::inflated;

namespace {

constexpr std::optional<byte_range> whole = std::nullopt;

std::string field(http_response const& response, std::string_view name) {
    auto const found = std::ranges::find(response.fields, name, [](auto const& each) { return each.first; });
    return found == response.fields.end() ? "" : found->second;
}

std::string body(http_response const& response) {
    auto all = response.body;
    for (auto const& each : response.more_body) {
        all += each.bytes;
    }
    return all;
}

http_request asking(std::string range = {}, std::string encoding = {}) {
    http_request request;
    request.range = std::move(range);
    request.accept_encoding = std::move(encoding);
    return request;
}

std::string noise(std::size_t size) {
    std::minstd_rand random(1);
    std::string bytes(size, '\0');
    std::ranges::generate(bytes, [&] { return static_cast<char>(random() >> 8); });
    return bytes;
}

} // namespace

TEST_CASE("http file: a range is the bytes that it names, as far as the file has them", "[http_file]") {
    CHECK(parse_range("bytes=0-0", 10) == byte_range{0, 1});
    CHECK(parse_range("bytes=2-5", 10) == byte_range{2, 4});
    CHECK(parse_range("bytes=2-", 10) == byte_range{2, 8});
    CHECK(parse_range("bytes=2-100", 10) == byte_range{2, 8});
    CHECK(parse_range("bytes=9-18446744073709551615", 10) == byte_range{9, 1});
    CHECK(parse_range("bytes=-3", 10) == byte_range{7, 3});
    CHECK(parse_range("bytes=-30", 10) == byte_range{0, 10});
}

TEST_CASE("http file: a range beyond the end has no bytes", "[http_file]") {
    CHECK(parse_range("bytes=10-", 10) == byte_range{10, 0});
    CHECK(parse_range("bytes=-0", 10) == byte_range{10, 0});
    CHECK(parse_range("bytes=0-", 0) == byte_range{0, 0});
    CHECK(parse_range("bytes=-1", 0) == byte_range{0, 0});
}

TEST_CASE("http file: several ranges, an unknown unit and an invalid range mean the whole file", "[http_file]") {
    for (auto const* const header : {"", "bytes", "bytes=", "bytes=-", "bytes=5", "bytes=5-2", "bytes=0-1,3-4",
                                     "bytes= 0-1", "bytes=0 -1", "bytes=-1-2", "bytes=+1-2", "bytes=0x1-2",
                                     "bytes=1-2 ", "bytes=18446744073709551616-", "lines=0-1", "Bytes=0-1"}) {
        CAPTURE(header);
        CHECK(parse_range(header, 10) == whole);
    }
}

TEST_CASE("http file: gzip is accepted if the client lists it with a quality above zero", "[http_file]") {
    for (auto const* const header : {"gzip", "deflate, gzip", "br;q=1.0, GZIP;q=0.001", "*", "gzip, *;q=0"}) {
        CAPTURE(header);
        CHECK(accepts_gzip(header));
    }
    for (auto const* const header :
         {"", "br", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "gzipped", "x;gzip", "\x01gzip"}) {
        CAPTURE(header);
        CHECK_FALSE(accepts_gzip(header));
    }
}

TEST_CASE("http file: a list of tags holds one, weak or not", "[http_file]") {
    for (auto const* const header : {"\"a\"", "W/\"a\"", "\"b\", \"a\"", "\"b\" ,\tW/\"a\" ", "*"}) {
        CAPTURE(header);
        CHECK(lists_tag(header, "\"a\""));
    }
    for (auto const* const header : {"", "a", "\"b\"", "\"aa\"", ", ,", "w/\"a\""}) {
        CAPTURE(header);
        CHECK_FALSE(lists_tag(header, "\"a\""));
    }
}

TEST_CASE("http file: the whole file is its head and its bytes, which are not copied", "[http_file]") {
    http_file const file("0123456789");
    auto const response = file.answer(asking(), "text/x", "head-");
    CHECK(response.status == 200);
    CHECK(response.content_type == "text/x");
    CHECK(body(response) == "head-0123456789");
    REQUIRE(response.more_body.size() == 1);
    CHECK(response.more_body.front().bytes.data() == file.bytes().data());
    CHECK(field(response, "Accept-Ranges") == "bytes");
}

TEST_CASE("http file: a range may begin in the head and end in the bytes", "[http_file]") {
    http_file const file("0123456789");
    for (std::size_t first = 0; first < 15; ++first) {
        for (std::size_t last = first; last < 16; ++last) {
            auto const range = std::to_string(first) + "-" + std::to_string(last);
            CAPTURE(range);
            auto const response = file.answer(asking("bytes=" + range), "text/x", "head-");
            CHECK(response.status == 206);
            CHECK(body(response) == std::string("head-0123456789").substr(first, last - first + 1));
            CHECK(field(response, "Content-Range") ==
                  "bytes " + std::to_string(first) + "-" + std::to_string(std::min<std::size_t>(last, 14)) + "/15");
        }
    }
    auto const behind = file.answer(asking("bytes=15-"), "text/x", "head-");
    CHECK(behind.status == 416);
    CHECK(field(behind, "Content-Range") == "bytes */15");
    CHECK(body(behind).find('\n') == body(behind).size() - 1);
}

TEST_CASE("http file: a client that has the file gets nothing again", "[http_file]") {
    http_file const file(std::string(1000, 'a'));
    auto request = asking({}, "gzip");
    auto const packed = file.answer(request, "text/x", "head-");
    auto const plain = file.answer(asking(), "text/x", "head-");
    CHECK(field(packed, "ETag") != field(plain, "ETag"));
    CHECK(field(plain, "ETag") != field(file.answer(asking(), "text/x", "other"), "ETag"));
    for (auto const& tag : {field(packed, "ETag"), field(plain, "ETag")}) {
        request.if_none_match = tag;
        auto const again = file.answer(request, "text/x", "head-");
        CHECK(again.status == 304);
        CHECK(body(again).empty());
        CHECK(field(again, "ETag") == tag);
        CHECK(http_file(std::string(1000, 'b')).answer(request, "text/x", "head-").status == 200);
    }
}

TEST_CASE("http file: a range of another version is not sent", "[http_file]") {
    http_file const file("0123456789");
    auto request = asking("bytes=0-1");
    request.if_range = field(file.answer(asking(), "text/x"), "ETag");
    CHECK(file.answer(request, "text/x").status == 206);
    request.if_range = "\"other\"";
    CHECK(file.answer(request, "text/x").status == 200);
}

TEST_CASE("http file: gzip holds the same bytes, and is used only if it helps", "[http_file]") {
    std::string text;
    for (int i = 0; i < 20'000; ++i) {
        text += std::to_string(i);
    }
    http_file const file(text);
    for (std::string const head : {"", "head-"}) {
        auto const response = file.answer(asking({}, "gzip"), "text/x", head);
        CHECK(field(response, "Content-Encoding") == "gzip");
        CHECK(body(response).size() < text.size() / 2);
        CHECK(inflated(body(response)) == head + text);
    }
    CHECK(field(file.answer(asking("bytes=0-1", "gzip"), "text/x"), "Content-Encoding").empty());
    CHECK(field(file.answer(asking(), "text/x"), "Content-Encoding").empty());
    for (std::size_t const size : {0U, 1U, 10'000U}) {
        http_file const random(noise(size));
        auto const response = random.answer(asking({}, "gzip"), "text/x", "head-");
        CHECK(field(response, "Content-Encoding").empty());
        CHECK(body(response) == "head-" + noise(size));
    }
}
