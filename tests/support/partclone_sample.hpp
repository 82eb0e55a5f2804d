#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <xxhash.h>

namespace seedbed::test {

/// CRC-32 bit by bit, without the last inversion, as partclone has it.
inline std::uint32_t crc_of(std::string const& bytes, std::uint32_t crc = 0xffffffff) {
    for (char const c : bytes) {
        crc ^= static_cast<unsigned char>(c);
        for (int i = 0; i < 8; ++i) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320U : 0U);
        }
    }
    return crc;
}

inline std::string number(std::uint64_t value, std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += static_cast<char>(value >> (8 * i));
    }
    return text;
}

inline std::string padded(std::string text, std::size_t size) {
    text.resize(size, '\0');
    return text;
}

/// One image of version 2 whose parts a test may change.
struct partclone_sample {
    static constexpr std::size_t block = 512;

    std::string file_system = "EXTFS";
    std::string used = "110111111100000001"; ///< a bit a block
    std::uint64_t blocks = 18;
    std::uint64_t stated = 10;
    std::uint32_t block_size = block;
    std::uint16_t endian = 0xc0de;
    std::uint32_t features = 18;
    std::uint16_t version = 2;
    std::uint16_t kind = 0x20;
    std::uint16_t checksum_size = 4;
    std::uint32_t strip = 4;
    int fresh = 1;
    int bitmap_mode = 1;

    [[nodiscard]] std::string header() const {
        auto const text = padded("partclone-image", 16) + padded("0.3.23", 14) + "0002" + number(endian, 2) +
                          padded(file_system, 16) + number(blocks * block_size, 8) + number(blocks, 8) +
                          number(stated, 8) + number(stated, 8) + number(block_size, 4) + number(features, 4) +
                          number(version, 2) + number(64, 2) + number(kind, 2) + number(checksum_size, 2) +
                          number(strip, 4) + number(static_cast<std::uint64_t>(fresh), 1) +
                          number(static_cast<std::uint64_t>(bitmap_mode), 1);
        return text + number(crc_of(text), 4);
    }

    [[nodiscard]] std::string bitmap() const {
        std::string bytes((used.size() + 7) / 8, '\0');
        for (std::size_t i = 0; i < used.size(); ++i) {
            bytes[i / 8] = static_cast<char>(static_cast<unsigned char>(bytes[i / 8]) | (used[i] - '0') << (i % 8));
        }
        bytes.back() = static_cast<char>(bytes.back() | '\xfc'); // bits after the last block
        return bytes + number(crc_of(bytes), 4);
    }

    [[nodiscard]] static std::string block_at(std::size_t i) {
        std::string bytes(block, static_cast<char>('a' + i));
        bytes[7] = static_cast<char>(i);
        return bytes;
    }

    [[nodiscard]] std::string data() const {
        std::string bytes;
        std::string covered; ///< by the next checksum
        std::uint32_t in_strip = 0;
        for (std::size_t i = 0; i < used.size(); ++i) {
            if (used[i] == '0') {
                continue;
            }
            bytes += block_at(i);
            covered += block_at(i);
            if (kind != 0 && ++in_strip == strip) {
                bytes += checksum_of(covered);
                in_strip = 0;
                covered = fresh == 1 ? std::string() : covered;
            }
        }
        return in_strip > 0 ? bytes + checksum_of(covered) : bytes;
    }

    [[nodiscard]] std::string checksum_of(std::string const& bytes) const {
        if (kind == 0x30) {
            return number(::XXH64(bytes.data(), bytes.size(), 0), 8);
        }
        if (kind == 0x31) {
            auto const both = ::XXH3_128bits(bytes.data(), bytes.size());
            return number(both.low64, 8) + number(both.high64, 8);
        }
        return number(crc_of(bytes), 4);
    }

    [[nodiscard]] std::string file_system_bytes() const {
        std::string bytes;
        for (std::size_t i = 0; i < used.size(); ++i) {
            bytes += used[i] == '1' ? block_at(i) : std::string(block, '\0');
        }
        return bytes;
    }

    [[nodiscard]] std::string whole() const { return header() + bitmap() + data(); }
};

} // namespace seedbed::test
