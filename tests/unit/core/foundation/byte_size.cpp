#include "core/foundation/byte_size.hpp"

#include <cstdint>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = 1024 * kib;
constexpr std::int64_t gib = 1024 * mib;
constexpr std::int64_t tib = 1024 * gib;
constexpr std::int64_t greatest = std::numeric_limits<std::int64_t>::max();

} // namespace

TEST_CASE("a size is a whole number of bytes or of a binary unit") {
    CHECK(parse_byte_size("0") == 0);
    CHECK(parse_byte_size("4096") == 4096);
    CHECK(parse_byte_size("007") == 7);
    CHECK(parse_byte_size("1 B") == 1);
    CHECK(parse_byte_size("3KiB") == 3 * kib);
    CHECK(parse_byte_size("16 MiB") == 16 * mib);
    CHECK(parse_byte_size("2GiB") == 2 * gib);
    CHECK(parse_byte_size("5 TiB") == 5 * tib);
}

TEST_CASE("the greatest size is the last that fits in 63 bits, in every unit") {
    CHECK(parse_byte_size("9223372036854775807") == greatest);
    CHECK(parse_byte_size("9007199254740991 KiB") == 9007199254740991 * kib);
    CHECK(parse_byte_size("8796093022207 MiB") == 8796093022207 * mib);
    CHECK(parse_byte_size("8589934591 GiB") == 8589934591 * gib);
    CHECK(parse_byte_size("8388607 TiB") == 8388607 * tib);
    for (std::string const text : {"9223372036854775808", "99999999999999999999999 KiB", "9007199254740992 KiB",
                                   "8796093022208 MiB", "8589934592 GiB", "8388608 TiB"}) {
        auto const size = parse_byte_size(text);
        INFO(text);
        REQUIRE_FALSE(size);
        CHECK(size.error().message == "'" + text + "' does not fit in 63 bits");
    }
}

TEST_CASE("all other texts are refused, and the error names the text") {
    for (std::string const text :
         {"",   " ",       "MiB",  " 4",   "4 ",    "4  KiB", "4\tKiB", "-1",     "-0",     "-99999999999999999999",
          "+4", "1.5 GiB", "0x10", "4 KB", "4 kib", "4 K",    "4M",     "4 MiBs", "4 MiB ", "4,096",
          "1e3"}) {
        auto const size = parse_byte_size(text);
        INFO("'" << text << "'");
        REQUIRE_FALSE(size);
        CHECK(size.error().message ==
              "'" + text + "' is not a size: expected bytes or a number with KiB, MiB, GiB or TiB");
    }
}

TEST_CASE("a size is shown in the largest unit that fits it") {
    CHECK(format_byte_size(0) == "0 B");
    CHECK(format_byte_size(1) == "1 B");
    CHECK(format_byte_size(kib - 1) == "1023 B");
    CHECK(format_byte_size(kib) == "1 KiB");
    CHECK(format_byte_size(kib + 1) == "1.0 KiB");
    CHECK(format_byte_size(kib + kib / 2) == "1.5 KiB");
    CHECK(format_byte_size(16 * mib) == "16 MiB");
    CHECK(format_byte_size(3 * gib / 2) == "1.5 GiB");
    CHECK(format_byte_size(tib) == "1 TiB");
    CHECK(format_byte_size(2048 * tib) == "2048 TiB");
    CHECK(format_byte_size(std::numeric_limits<std::int64_t>::max()) == "8388608 TiB");
    CHECK(format_byte_size(-5) == "-5 B");
}

TEST_CASE("a size that is not whole in its unit has a decimal below ten only") {
    CHECK(format_byte_size(10 * mib - 52 * kib) == "9.9 MiB");
    CHECK(format_byte_size(10 * mib - 51 * kib) == "10 MiB");
    CHECK(format_byte_size(10 * mib + 460 * kib) == "10 MiB"); // 10.449: rounded once, not first to 10.5
    CHECK(format_byte_size(424'600'000) == "405 MiB");
    CHECK(format_byte_size(1023 * kib) == "1023 KiB");
    CHECK(format_byte_size(1023 * kib + 511) == "1023 KiB");
    CHECK(format_byte_size(1023 * kib + 512) == "1.0 MiB");
    CHECK(format_byte_size(mib - 1) == "1.0 MiB");
    CHECK(format_byte_size(1024 * tib - 1) == "1024 TiB");
}

TEST_CASE("a size in whole units reads back unchanged") {
    for (std::int64_t const size : {std::int64_t{1}, std::int64_t{1000}, 16 * kib, 32 * mib, 7 * gib, 3 * tib}) {
        CHECK(parse_byte_size(format_byte_size(size)) == size);
    }
}
