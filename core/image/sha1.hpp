#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/image/partclone_info.hpp"

namespace seedbed {

/// The SHA-1 of bytes that arrive in parts (FIPS 180-4). A plain value: a copy continues independently.
///
/// A sum keeps only one unit of a processor busy, and even that mostly idles, because each step waits for the previous
/// one. Several sums at a time, with sha1_update(), therefore take little longer than one.
class sha1_sum {
public:
    void update(std::span<std::byte const> bytes);
    /// The digest of all bytes. The sum must not be used afterwards.
    [[nodiscard]] sha1_digest final();

private:
    friend class sha1_lanes;

    std::array<std::uint32_t, 5> m_state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    std::uint64_t m_length = 0;            ///< bytes
    std::array<std::byte, 64> m_partial{}; ///< the last m_length % 64 of them
};

/// The next bytes of one of several sums.
struct sha1_part {
    sha1_sum* sum = nullptr;
    std::span<std::byte const> bytes;
};

/// The number of sums worth computing at a time.
inline constexpr std::size_t most_sha1_lanes = 4;

/// Does sum->update(bytes) for each part. Each part must have its own sum. \param parts is modified: the spans are
/// empty afterwards.
void sha1_update(std::span<sha1_part> parts);

/// Whether this processor gains from several sums at a time, that is, has SHA-1 instructions.
[[nodiscard]] bool sha1_in_lanes() noexcept;

} // namespace seedbed
