#include "core/foundation/hex_number.hpp"

#include <limits>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("hex numbers of any number of digits, up to 63 bits") {
    CHECK(parse_hex_number("0") == 0);
    CHECK(parse_hex_number("fF") == 255);
    CHECK(parse_hex_number("00000000000000000000000000800400") == 0x800400);
    CHECK(parse_hex_number("7fffffffffffffff") == std::numeric_limits<std::int64_t>::max());
    CHECK(parse_hex_number(std::string(200, '0') + "7fffffffffffffff") == std::numeric_limits<std::int64_t>::max());
    CHECK_FALSE(parse_hex_number("8000000000000000"));
    CHECK_FALSE(parse_hex_number("00008000000000000000"));
    CHECK_FALSE(parse_hex_number("10000000000000000"));
    CHECK_FALSE(parse_hex_number(std::string(32, 'f')));
}

TEST_CASE("nothing else is a hex number") {
    for (auto const* text : {"", " 0", "0 ", "-1", "+1", "0x10", "1g", "1.1", "1\n"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_hex_number(text));
        CHECK_FALSE(is_hex(text));
    }
    CHECK_FALSE(is_hex(std::string_view("1\0", 2)));
}

TEST_CASE("bytes as hex") {
    CHECK(to_hex("").empty());
    CHECK(to_hex(std::string("\x00\x7f\x80\xff", 4)) == "007f80ff");
}

TEST_CASE("an offset as partclone writes it") {
    CHECK(to_hex_offset(0) == "00000000000000000000000000000000");
    CHECK(to_hex_offset(0x7ffffffffff0000a) == "00000000000000007ffffffffff0000a");
}
