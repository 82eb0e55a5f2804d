#include "core/image/packed_chunk.hpp"

#include <cstring>
#include <limits>

#include <catch2/catch.hpp>

#include "core/foundation/hex_number.hpp"
#include "core/image/little_endian.hpp"

using namespace seedbed;

namespace {

constexpr packed_geometry geometry{byte_count{10 << 20}, 512, 1 << 20};

/// An entry with any numbers.
std::string entry_of(std::uint64_t offset, std::uint32_t raw, std::uint32_t packed, std::uint32_t method,
                     char digest = 'd') {
    std::string entry;
    append_little_endian(entry, offset);
    append_little_endian(entry, raw);
    append_little_endian(entry, packed);
    append_little_endian(entry, method);
    return entry + std::string(16, digest);
}

result<packed_chunk> read(std::string const& entry, packed_geometry const& of = geometry) {
    REQUIRE(entry.size() == packed_limits::entry_size);
    auto const bytes = std::as_bytes(std::span(entry.data(), entry.size()));
    return read_entry(bytes.first<packed_limits::entry_size>(), of);
}

std::string reason(std::string const& entry, packed_geometry const& of = geometry) {
    auto const found = read(entry, of);
    return found ? "accepted" : found.error().message;
}

} // namespace

TEST_CASE("the digest is XXH3-128 in canonical form") {
    // From xxhsum -H2 of the reference implementation.
    std::string const text = "Seedbed";
    auto const digest = digest_of(std::as_bytes(std::span(text.data(), text.size())));
    CHECK(to_hex({reinterpret_cast<char const*>(digest.data()), digest.size()}) == "ad2415cffc0bf3dc214984c1da048f02");
    CHECK(to_hex({reinterpret_cast<char const*>(digest_of({}).data()), 16}) == "99aa06d3014798d86001c324468d497f");
}

TEST_CASE("bytes are zero only if all are") {
    std::vector<std::byte> bytes(1000);
    CHECK(is_zero(bytes));
    CHECK(is_zero({}));
    for (std::size_t const at : {0U, 1U, 500U, 999U}) {
        bytes[at] = std::byte{1};
        CHECK_FALSE(is_zero(bytes));
        bytes[at] = {};
    }
}

TEST_CASE("an entry of a chunk table, byte for byte") {
    packed_chunk chunk{device_offset{0x123456000}, 0x40000, 0x789, chunk_method::zstd};
    std::memset(chunk.digest.data(), 'x', chunk.digest.size());
    std::string table;
    append_entry(table, chunk);
    CHECK(to_hex(table) == "0060452301000000"
                           "00000400"
                           "89070000"
                           "02000000"
                           "78787878787878787878787878787878");
    CHECK(read(table, {byte_count{std::int64_t{1} << 40}, 4096, 1 << 20}) == chunk);
}

TEST_CASE("entries that are accepted") {
    CHECK(read(entry_of(0, 512, 0, 0, 0)));
    CHECK(read(entry_of(512, 10 * 1024 * 1024 - 512, 0, 0, 0))); // zeros up to the end
    CHECK(read(entry_of((10 << 20) - 512, 512, 512, 1)));
    CHECK(read(entry_of(0, 1 << 20, (1 << 20) - 1, 2)));
    CHECK(read(entry_of(0, 1 << 20, 1, 2)));
}

TEST_CASE("invalid entries are refused") {
    auto const end = std::uint64_t{10 << 20};
    CHECK(reason(entry_of(0, 512, 512, 3)) == "unknown method 3");
    CHECK(reason(entry_of(0, 512, 512, 0x101)) == "unknown method 257");
    CHECK(reason(entry_of(0, 0, 0, 0, 0)) == "a length of 0 bytes: allowed are 1 to 1073741824");
    CHECK(reason(entry_of(0, (1 << 20) + 512, 5, 2)) == "a length of 1049088 bytes: allowed are 1 to 1048576");
    CHECK(reason(entry_of(0, 513, 5, 2)) == "offset 0, length 513: not whole sectors of 512 bytes");
    CHECK(reason(entry_of(100, 512, 5, 2)) == "offset 100, length 512: not whole sectors of 512 bytes");
    CHECK(reason(entry_of(end, 512, 5, 2)) == "offset 10485760, length 512: ends beyond the source's 10485760 bytes");
    CHECK(reason(entry_of(end - 512, 1024, 5, 2)) ==
          "offset 10485248, length 1024: ends beyond the source's 10485760 bytes");
    CHECK(reason(entry_of(std::uint64_t{1} << 63, 512, 5, 2)) ==
          "offset 9223372036854775808, length 512: ends beyond the source's 10485760 bytes");
    CHECK(reason(entry_of(std::numeric_limits<std::uint64_t>::max() - 511, 512, 5, 2)) ==
          "offset 18446744073709551104, length 512: ends beyond the source's 10485760 bytes");
    CHECK(reason(entry_of(0, 512, 1, 0, 0)) == "a chunk of zeros with a payload of 1 bytes for 512");
    CHECK(reason(entry_of(0, 512, 511, 1)) == "a stored chunk with a payload of 511 bytes for 512");
    CHECK(reason(entry_of(0, 512, 512, 2)) == "a compressed chunk with a payload of 512 bytes for 512");
    CHECK(reason(entry_of(0, 512, 0, 2)) == "a compressed chunk with a payload of 0 bytes for 512");
    CHECK(reason(entry_of(0, 512, 0, 0, 'd')) == "a chunk of zeros with a digest");
}

TEST_CASE("a geometry is checked") {
    auto const refused = [](std::int64_t size, std::int32_t sector, std::int32_t piece) {
        return !check_geometry({byte_count{size}, sector, piece});
    };
    CHECK_FALSE(refused(512, 512, 64 << 10));
    CHECK_FALSE(refused(4096, 4096, 64 << 20));
    CHECK(refused(0, 512, 1 << 20));
    CHECK(refused(-512, 512, 1 << 20));
    CHECK(refused(513, 512, 1 << 20));
    CHECK(refused(8192, 0, 1 << 20));
    CHECK(refused(8192, 256, 1 << 20));
    CHECK(refused(8192, 8192, 1 << 20));
    CHECK(refused(6144, 1536, 1 << 20));
    CHECK(refused(8192, 512, 32 << 10));
    CHECK(refused(8192, 512, 128 << 20));
    CHECK(refused(8192, 512, (1 << 20) + 16384));
}
