#include "core/foundation/info_hash.hpp"

#include <string>
#include <unordered_set>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr auto digits = "000102030405060708090a0b0c7f80feffabcdef";

info_hash hash_of(std::string_view hex) {
    auto const made = info_hash::from_hex(hex);
    REQUIRE(made);
    return *made;
}

} // namespace

TEST_CASE("an info-hash is the same from hex and from bytes, and back") {
    auto const hash = hash_of(digits);
    CHECK(hash.to_hex() == digits);
    auto const bytes = std::string("\0\1\2\3\4\5\6\7\x08\x09\x0a\x0b\x0c\x7f\x80\xfe\xff\xab\xcd\xef", 20);
    CHECK(hash.bytes() == bytes);
    CHECK(info_hash::from_bytes(bytes) == hash);
    CHECK(hash_of("000102030405060708090A0B0C7F80FEFFABCDEF") == hash);
    CHECK(info_hash{} == hash_of(std::string(40, '0')));
}

TEST_CASE("an info-hash is 40 hex digits or 20 bytes and nothing else") {
    for (std::string const text :
         {"", "0", "000102030405060708090a0b0c7f80feffabcde", "000102030405060708090a0b0c7f80feffabcdef0",
          "g00102030405060708090a0b0c7f80feffabcdef", "0x0102030405060708090a0b0c7f80feffabcdef",
          " 00102030405060708090a0b0c7f80feffabcdef", "-00102030405060708090a0b0c7f80feffabcdef"}) {
        CAPTURE(text);
        CHECK_FALSE(info_hash::from_hex(text));
    }
    CHECK_FALSE(info_hash::from_bytes(""));
    CHECK_FALSE(info_hash::from_bytes(std::string(19, 'a')));
    CHECK_FALSE(info_hash::from_bytes(std::string(21, 'a')));
    CHECK_FALSE(info_hash::from_bytes(digits));
}

TEST_CASE("info-hashes are ordered like their digits, including bytes above 127") {
    auto const low = hash_of("7f" + std::string(38, 'f'));
    auto const high = hash_of("80" + std::string(38, '0'));
    CHECK(low < high);
    CHECK(high > low);
    CHECK(low != high);
    CHECK(hash_of(std::string(39, '0') + "1") < hash_of(std::string(39, '0') + "2"));
}

TEST_CASE("info-hashes are keys of a hash table") {
    std::unordered_set<info_hash> set{hash_of(digits), hash_of(std::string(40, 'a')), hash_of(digits)};
    CHECK(set.size() == 2);
    CHECK(set.contains(hash_of(std::string(40, 'A'))));
    CHECK_FALSE(set.contains(info_hash{}));
}
