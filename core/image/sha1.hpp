#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/image/partclone_info.hpp"

namespace seedbed {

/// The SHA-1 of bytes that come in parts (FIPS 180-4). A plain value: a copy goes on by itself.
///
/// One such sum can not be computed by more than one unit of a processor, and most of that idles, each step waiting for
/// the one before: several sums at a time, by sha1_update(), take little longer than one.
class sha1_sum {
public:
    void update(std::span<std::byte const> bytes);
    /// The digest of all bytes. The sum can not be used afterwards.
    [[nodiscard]] sha1_digest final();

private:
    friend class sha1_lanes;

    std::array<std::uint32_t, 5> m_state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    std::uint64_t m_length = 0;            ///< bytes
    std::array<std::byte, 64> m_partial{}; ///< the last m_length % 64 of them
};

/// What one of several sums takes in.
struct sha1_part {
    sha1_sum* sum = nullptr;
    std::span<std::byte const> bytes;
};

/// Sums that are worth computing at a time.
inline constexpr std::size_t most_sha1_lanes = 4;

/// sum->update(bytes) for each part, all of which have sums of their own. \param parts changed: what is left of their
/// bytes is nothing.
void sha1_update(std::span<sha1_part> parts);

/// Whether this processor gains from several sums at a time: whether it has instructions for SHA-1.
[[nodiscard]] bool sha1_in_lanes() noexcept;

} // namespace seedbed
