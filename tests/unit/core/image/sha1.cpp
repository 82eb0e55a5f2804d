#include "core/image/sha1.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/hasher.hpp>

using namespace seedbed;

namespace {

std::vector<std::byte> noise(std::size_t size, unsigned seed) {
    std::mt19937 engine(seed);
    std::vector<std::byte> bytes(size);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(engine()); });
    return bytes;
}

/// By libtorrent, which uses OpenSSL.
sha1_digest expected(std::vector<std::byte> const& bytes) {
    auto const digest =
        libtorrent::hasher(reinterpret_cast<char const*>(bytes.data()), static_cast<int>(bytes.size())).final();
    sha1_digest result{};
    std::memcpy(result.data(), digest.data(), result.size());
    return result;
}

std::string hex(sha1_digest const& digest) {
    std::string text;
    for (auto const c : digest) {
        constexpr auto digits = "0123456789abcdef";
        text += digits[static_cast<unsigned char>(c) >> 4];
        text += digits[static_cast<unsigned char>(c) & 15];
    }
    return text;
}

} // namespace

TEST_CASE("SHA-1 of the examples of FIPS 180", "[sha1]") {
    auto const of = [](std::string const& text) {
        sha1_sum sum;
        sum.update(std::as_bytes(std::span(text)));
        return hex(sum.final());
    };
    CHECK(of("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(of("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") == "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    CHECK(of(std::string(1'000'000, 'a')) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST_CASE("one sum takes its bytes in parts of any size", "[sha1]") {
    for (std::size_t const size : {1U, 55U, 56U, 63U, 64U, 65U, 119U, 120U, 128U, 1000U, 16384U, 16385U}) {
        auto const bytes = noise(size, static_cast<unsigned>(size));
        for (std::size_t const part : {1U, 7U, 64U, 100U, 20000U}) {
            sha1_sum sum;
            for (std::size_t at = 0; at < size; at += part) {
                sum.update(std::span(bytes).subspan(at, std::min(part, size - at)));
            }
            INFO(size << " bytes, " << part << " at a time");
            CHECK(sum.final() == expected(bytes));
        }
    }
}

TEST_CASE("several sums computed together equal the separate sums", "[sha1]") {
    std::mt19937 engine(1);
    auto const below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(engine); };
    for (unsigned round = 0; round < 200; ++round) {
        auto const count = 1 + below(7); // also more than are computed together
        std::vector<std::vector<std::byte>> streams;
        for (std::size_t i = 0; i < count; ++i) {
            // Half of the time, a multiple of the step size, like blocks.
            auto const size = round % 2 == 0 ? 64 * below(80) : below(5000);
            streams.push_back(noise(size, static_cast<unsigned>(round * 100 + i)));
        }
        std::vector<sha1_sum> sums(count);
        std::vector<std::size_t> done(count);
        for (int pass = 0; pass < 4; ++pass) {
            std::vector<sha1_part> parts;
            for (std::size_t i = 0; i < count; ++i) {
                auto const left = streams[i].size() - done[i];
                auto const taken = pass == 3 ? left : below(left + 1);
                parts.push_back({&sums[i], std::span(streams[i]).subspan(done[i], taken)});
                done[i] += taken;
            }
            sha1_update(parts);
        }
        for (std::size_t i = 0; i < count; ++i) {
            INFO("round " << round << ", sum " << i << " of " << count);
            CHECK(sums[i].final() == expected(streams[i]));
        }
    }
}

TEST_CASE("a copy of a sum continues independently", "[sha1]") {
    auto const bytes = noise(300, 3);
    sha1_sum sum;
    sum.update(std::span(bytes).first(100));
    auto copy = sum;
    copy.update(std::span(bytes).subspan(100));
    CHECK(copy.final() == expected(bytes));
    CHECK(sum.final() == expected({bytes.begin(), bytes.begin() + 100}));
}
