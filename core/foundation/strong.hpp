#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace seedbed {

// Integer types with one meaning each. They cost no more than plain integers; mixing them in a way that makes no sense
// does not compile, and conversion to or from an integer is always explicit. The caller excludes overflow, as with
// plain integers.

/// A position in a sequence, from 0. The distance between two positions of the same sequence is a plain integer.
template <class Row>
class strong_index {
public:
    constexpr strong_index() noexcept = default;
    constexpr explicit strong_index(std::int32_t value) noexcept
        : m_value(value) {}

    [[nodiscard]] constexpr std::int32_t value() const noexcept { return m_value; }

    friend constexpr auto operator<=>(strong_index const&, strong_index const&) noexcept = default;

    constexpr strong_index& operator++() noexcept {
        ++m_value;
        return *this;
    }
    [[nodiscard]] friend constexpr strong_index operator+(strong_index index, std::int32_t steps) noexcept {
        return strong_index{index.m_value + steps};
    }
    [[nodiscard]] friend constexpr strong_index operator-(strong_index index, std::int32_t steps) noexcept {
        return strong_index{index.m_value - steps};
    }
    [[nodiscard]] friend constexpr std::int32_t operator-(strong_index a, strong_index b) noexcept {
        return a.m_value - b.m_value;
    }

private:
    std::int32_t m_value = 0;
};

/// A number of bytes.
class byte_count {
public:
    constexpr byte_count() noexcept = default;
    constexpr explicit byte_count(std::int64_t value) noexcept
        : m_value(value) {}

    [[nodiscard]] constexpr std::int64_t value() const noexcept { return m_value; }

    friend constexpr auto operator<=>(byte_count const&, byte_count const&) noexcept = default;

    constexpr byte_count& operator+=(byte_count other) noexcept {
        m_value += other.m_value;
        return *this;
    }
    constexpr byte_count& operator-=(byte_count other) noexcept {
        m_value -= other.m_value;
        return *this;
    }
    [[nodiscard]] friend constexpr byte_count operator+(byte_count a, byte_count b) noexcept { return a += b; }
    [[nodiscard]] friend constexpr byte_count operator-(byte_count a, byte_count b) noexcept { return a -= b; }
    [[nodiscard]] friend constexpr byte_count operator*(byte_count size, std::int64_t times) noexcept {
        return byte_count{size.m_value * times};
    }
    [[nodiscard]] friend constexpr byte_count operator*(std::int64_t times, byte_count size) noexcept {
        return size * times;
    }
    [[nodiscard]] friend constexpr byte_count operator/(byte_count size, std::int64_t parts) noexcept {
        return byte_count{size.m_value / parts};
    }
    /// How many times \p part fits, rounded towards 0.
    [[nodiscard]] friend constexpr std::int64_t operator/(byte_count size, byte_count part) noexcept {
        return size.m_value / part.m_value;
    }
    [[nodiscard]] friend constexpr byte_count operator%(byte_count size, byte_count part) noexcept {
        return byte_count{size.m_value % part.m_value};
    }

private:
    std::int64_t m_value = 0;
};

/// A position, in bytes from the start of \p Place. The distance between two positions in the same place is a
/// byte_count.
template <class Place>
class strong_offset {
public:
    constexpr strong_offset() noexcept = default;
    constexpr explicit strong_offset(std::int64_t value) noexcept
        : m_value(value) {}

    [[nodiscard]] constexpr std::int64_t value() const noexcept { return m_value; }

    friend constexpr auto operator<=>(strong_offset const&, strong_offset const&) noexcept = default;

    constexpr strong_offset& operator+=(byte_count distance) noexcept {
        m_value += distance.value();
        return *this;
    }
    constexpr strong_offset& operator-=(byte_count distance) noexcept {
        m_value -= distance.value();
        return *this;
    }
    [[nodiscard]] friend constexpr strong_offset operator+(strong_offset at, byte_count distance) noexcept {
        return at += distance;
    }
    [[nodiscard]] friend constexpr strong_offset operator-(strong_offset at, byte_count distance) noexcept {
        return at -= distance;
    }
    [[nodiscard]] friend constexpr byte_count operator-(strong_offset a, strong_offset b) noexcept {
        return byte_count{a.m_value - b.m_value};
    }
    /// The distance from the last multiple of \p unit.
    [[nodiscard]] friend constexpr byte_count operator%(strong_offset at, byte_count unit) noexcept {
        return byte_count{at.m_value} % unit;
    }

private:
    std::int64_t m_value = 0;
};

/// A piece of a torrent.
using piece_index = strong_index<struct piece_row>;
/// A block of a piece.
using block_in_piece = strong_index<struct block_row>;
/// A position on a device.
using device_offset = strong_offset<struct device_place>;
/// A position in a torrent's byte stream: its files, or extents, joined in order.
using torrent_offset = strong_offset<struct torrent_place>;

} // namespace seedbed

template <class Row>
struct std::hash<seedbed::strong_index<Row>> {
    [[nodiscard]] std::size_t operator()(seedbed::strong_index<Row> index) const noexcept {
        return std::hash<std::int32_t>{}(index.value());
    }
};
