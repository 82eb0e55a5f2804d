#include "core/foundation/strong.hpp"

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

template <class A, class B>
concept can_add = requires(A a, B b) {
    a + b;
};
template <class A, class B>
concept can_subtract = requires(A a, B b) {
    a - b;
};
template <class A, class B>
concept can_multiply = requires(A a, B b) {
    a* b;
};
template <class A, class B>
concept can_divide = requires(A a, B b) {
    a / b;
};
template <class A, class B>
concept can_take_rest = requires(A a, B b) {
    a % b;
};
template <class A, class B>
concept can_compare = requires(A a, B b) {
    a == b;
}
|| requires(A a, B b) {
    a < b;
};
template <class A>
concept can_count_on = requires(A a) {
    ++a;
};

/// Neither converts implicitly to the other.
template <class A, class B>
constexpr bool apart = !std::is_convertible_v<A, B> && !std::is_convertible_v<B, A>;

// No overhead, and no implicit conversion to an integer.
template <class T, class Integer>
constexpr bool
    is_plain = sizeof(T) == sizeof(Integer) && std::is_trivially_copyable_v<T>&& std::is_standard_layout_v<
                                                   T>&& std::constructible_from<T, Integer>&& apart<T, Integer>;
static_assert(is_plain<piece_index, std::int32_t>);
static_assert(is_plain<block_in_piece, std::int32_t>);
static_assert(is_plain<byte_count, std::int64_t>);
static_assert(is_plain<device_offset, std::int64_t>);
static_assert(is_plain<torrent_offset, std::int64_t>);

// Each is its own type.
static_assert(apart<piece_index, block_in_piece> && !std::constructible_from<piece_index, block_in_piece>);
static_assert(apart<device_offset, torrent_offset> && !std::constructible_from<device_offset, torrent_offset>);
static_assert(apart<device_offset, byte_count> && !std::constructible_from<device_offset, byte_count>);
static_assert(!can_compare<piece_index, block_in_piece> && !can_compare<piece_index, std::int32_t>);
static_assert(!can_compare<device_offset, torrent_offset> && !can_compare<device_offset, byte_count>);
static_assert(!can_compare<byte_count, std::int64_t>);

// An index can be incremented, but it is not a quantity.
static_assert(can_count_on<piece_index> && can_count_on<block_in_piece>);
static_assert(can_add<piece_index, int> && can_subtract<piece_index, int> && can_subtract<piece_index, piece_index>);
static_assert(!can_add<piece_index, piece_index> && !can_add<piece_index, block_in_piece>);
static_assert(!can_subtract<piece_index, block_in_piece>);
static_assert(!can_multiply<piece_index, int> && !can_divide<piece_index, int>);
static_assert(!can_multiply<piece_index, byte_count> && !can_add<piece_index, byte_count>);

// An offset moves by bytes, not by a bare number.
static_assert(can_add<device_offset, byte_count> && can_subtract<device_offset, byte_count>);
static_assert(can_take_rest<device_offset, byte_count>);
static_assert(!can_add<device_offset, device_offset> && !can_add<device_offset, std::int64_t>);
static_assert(!can_add<byte_count, device_offset> && !can_subtract<byte_count, device_offset>);
static_assert(!can_subtract<device_offset, torrent_offset>);
static_assert(!can_multiply<device_offset, std::int64_t> && !can_divide<device_offset, std::int64_t>);
static_assert(!can_count_on<device_offset>);
static_assert(std::same_as<decltype(device_offset{} - device_offset{}), byte_count>);

// Bytes are added and divided; bytes times bytes are not bytes.
static_assert(can_add<byte_count, byte_count> && can_subtract<byte_count, byte_count>);
static_assert(can_multiply<byte_count, int> && can_multiply<int, byte_count> && can_divide<byte_count, int>);
static_assert(!can_add<byte_count, std::int64_t> && !can_subtract<byte_count, std::int64_t>);
static_assert(!can_multiply<byte_count, byte_count> && !can_divide<std::int64_t, byte_count>);
static_assert(!can_count_on<byte_count>);
static_assert(std::same_as<decltype(byte_count{} / byte_count{1}), std::int64_t>);

} // namespace

TEST_CASE("an index is 0 by default, counts up, and subtracts to a distance") {
    CHECK(piece_index{}.value() == 0);
    auto at = piece_index{6};
    CHECK((++at).value() == 7);
    CHECK((at + 3).value() == 10);
    CHECK((at - 3).value() == 4);
    CHECK(at - piece_index{9} == -2);
    CHECK(at == piece_index{7});
    CHECK(at > piece_index{6});
    CHECK(at != piece_index{8});
}

TEST_CASE("an index is a key of unordered containers") {
    std::unordered_set<piece_index> const set{piece_index{7}, piece_index{8}, piece_index{7}};
    CHECK(set.size() == 2);
    CHECK(set.contains(piece_index{8}));
    CHECK_FALSE(set.contains(piece_index{9}));
}

TEST_CASE("byte counts are added, multiplied and divided") {
    auto const size = byte_count{5'000'000'000};
    CHECK(byte_count{}.value() == 0);
    CHECK((size + byte_count{1}).value() == 5'000'000'001);
    CHECK((size - byte_count{5'000'000'001}).value() == -1);
    CHECK((size * 3).value() == 15'000'000'000);
    CHECK((3 * size).value() == 15'000'000'000);
    CHECK((size / 3).value() == 1'666'666'666);
    CHECK(size / byte_count{16'384} == 305'175);
    CHECK((size % byte_count{16'384}).value() == 12'800);
    CHECK(byte_count{7} < byte_count{8});
    auto sum = byte_count{10};
    sum += byte_count{5};
    sum -= byte_count{1};
    CHECK(sum == byte_count{14});
}

TEST_CASE("an offset moves by byte counts beyond 32 bits") {
    auto at = device_offset{1LL << 40};
    at += byte_count{4096};
    CHECK(at.value() == (1LL << 40) + 4096);
    at -= byte_count{96};
    CHECK((at + byte_count{96}).value() == (1LL << 40) + 4096);
    CHECK((at - byte_count{4000}).value() == 1LL << 40);
    CHECK(at - device_offset{1LL << 40} == byte_count{4000});
    CHECK(at % byte_count{4096} == byte_count{4000});
    CHECK(device_offset{} < at);
}
