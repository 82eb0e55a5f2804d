#include "core/image/sha1.hpp"

#include <algorithm>
#include <cstring>

#include <openssl/sha.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace seedbed {

namespace {

constexpr std::size_t step_size = 64; ///< bytes in a SHA-1 block

using sha1_state = std::array<std::uint32_t, 5>;

/// Advances one sum with OpenSSL, which has the fastest code for each processor.
void compress_one(sha1_state& state, std::byte const* bytes, std::size_t steps) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations" // the replacement API cannot be given a state
    SHA_CTX context;
    SHA1_Init(&context);
    context.h0 = state[0];
    context.h1 = state[1];
    context.h2 = state[2];
    context.h3 = state[3];
    context.h4 = state[4];
    SHA1_Update(&context, bytes, steps * step_size);
    state = {context.h0, context.h1, context.h2, context.h3, context.h4};
#pragma GCC diagnostic pop
}

#if defined(__x86_64__)

/// A sum in the registers that the SHA-1 instructions use.
struct lane {
    __m128i abcd;
    __m128i e_even;
    __m128i e_odd;
    __m128i abcd_before;
    __m128i e_before;
    __m128i words[4]; // NOLINT(modernize-avoid-c-arrays): std::array loses their alignment

    [[gnu::target("sha,sse4.1"), gnu::always_inline]] void load(sha1_state const& state) {
        abcd = _mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<__m128i const*>(state.data())), 0x1b);
        e_even = _mm_set_epi32(static_cast<int>(state[4]), 0, 0, 0);
    }

    [[gnu::target("sha,sse4.1"), gnu::always_inline]] void store(sha1_state& state) const {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(state.data()), _mm_shuffle_epi32(abcd, 0x1b));
        state[4] = static_cast<std::uint32_t>(_mm_extract_epi32(e_even, 3));
    }
};

/// Advances several sums at a time with the SHA-1 instructions, interleaved: while one waits for its previous step, the
/// others continue (Intel, "Intel SHA Extensions", 2013).
template <std::size_t Lanes>
[[gnu::target("sha,sse4.1")]] void compress_lanes(std::array<sha1_state*, Lanes> const& states,
                                                  std::array<std::byte const*, Lanes> bytes, std::size_t steps) {
    auto const big_endian = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
    std::array<lane, Lanes> lanes;
    for (std::size_t i = 0; i < Lanes; ++i) {
        lanes[i].load(*states[i]);
    }

// Four of the 80 rounds: Number counts these groups of four, Function selects the function of the quarter.
#define SEEDBED_SHA1_ROUNDS(Number, Function)                                                                          \
    _Pragma("GCC unroll 4") for (auto& x : lanes) {                                                                    \
        auto const word = x.words[(Number) % 4];                                                                       \
        auto const e = (Number) == 0       ? _mm_add_epi32(x.e_even, word)                                             \
                       : (Number) % 2 != 0 ? _mm_sha1nexte_epu32(x.e_odd, word)                                        \
                                           : _mm_sha1nexte_epu32(x.e_even, word);                                      \
        ((Number) % 2 != 0 ? x.e_even : x.e_odd) = x.abcd;                                                             \
        x.abcd = _mm_sha1rnds4_epu32(x.abcd, e, Function);                                                             \
        if ((Number) >= 3 && (Number) < 19) {                                                                          \
            auto& next = x.words[((Number) + 1) % 4];                                                                  \
            next = _mm_sha1msg2_epu32(                                                                                 \
                _mm_xor_si128(_mm_sha1msg1_epu32(next, x.words[((Number) + 2) % 4]), x.words[((Number) + 3) % 4]),     \
                word);                                                                                                 \
        }                                                                                                              \
    }

    for (; steps > 0; --steps) {
        _Pragma("GCC unroll 4") for (std::size_t i = 0; i < Lanes; ++i) {
            lanes[i].abcd_before = lanes[i].abcd;
            lanes[i].e_before = lanes[i].e_even;
            _Pragma("GCC unroll 4") for (std::size_t k = 0; k < 4; ++k) {
                auto const loaded = _mm_loadu_si128(reinterpret_cast<__m128i const*>(bytes[i] + 16 * k));
                lanes[i].words[k] = _mm_shuffle_epi8(loaded, big_endian);
            }
            bytes[i] += step_size;
        }
        SEEDBED_SHA1_ROUNDS(0, 0)
        SEEDBED_SHA1_ROUNDS(1, 0)
        SEEDBED_SHA1_ROUNDS(2, 0)
        SEEDBED_SHA1_ROUNDS(3, 0)
        SEEDBED_SHA1_ROUNDS(4, 0)
        SEEDBED_SHA1_ROUNDS(5, 1)
        SEEDBED_SHA1_ROUNDS(6, 1)
        SEEDBED_SHA1_ROUNDS(7, 1)
        SEEDBED_SHA1_ROUNDS(8, 1)
        SEEDBED_SHA1_ROUNDS(9, 1)
        SEEDBED_SHA1_ROUNDS(10, 2)
        SEEDBED_SHA1_ROUNDS(11, 2)
        SEEDBED_SHA1_ROUNDS(12, 2)
        SEEDBED_SHA1_ROUNDS(13, 2)
        SEEDBED_SHA1_ROUNDS(14, 2)
        SEEDBED_SHA1_ROUNDS(15, 3)
        SEEDBED_SHA1_ROUNDS(16, 3)
        SEEDBED_SHA1_ROUNDS(17, 3)
        SEEDBED_SHA1_ROUNDS(18, 3)
        SEEDBED_SHA1_ROUNDS(19, 3)
        _Pragma("GCC unroll 4") for (std::size_t i = 0; i < Lanes; ++i) {
            lanes[i].e_even = _mm_sha1nexte_epu32(lanes[i].e_even, lanes[i].e_before);
            lanes[i].abcd = _mm_add_epi32(lanes[i].abcd, lanes[i].abcd_before);
        }
    }
#undef SEEDBED_SHA1_ROUNDS

    for (std::size_t i = 0; i < Lanes; ++i) {
        lanes[i].store(*states[i]);
    }
}

bool has_sha_instructions() noexcept {
    constexpr unsigned sha = 1U << 29;    // of leaf 7, EBX
    constexpr unsigned sse4_1 = 1U << 19; // of leaf 1, ECX
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & sse4_1) == 0) {
        return false;
    }
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha) != 0;
}

#endif

bool const in_lanes =
#if defined(__x86_64__)
    has_sha_instructions();
#else
    false;
#endif

} // namespace

/// Advances the sums of parts that have no partial step left, in whole steps.
class sha1_lanes {
public:
    static std::size_t partial(sha1_sum const& sum) { return sum.m_length % step_size; }

    /// Completes the sum's partial step. \return the rest of \p bytes.
    static std::span<std::byte const> complete_step(sha1_sum& sum, std::span<std::byte const> bytes) {
        auto const there = partial(sum);
        if (there == 0) {
            return bytes;
        }
        auto const taken = std::min(bytes.size(), step_size - there);
        if (taken > 0) {
            std::memcpy(sum.m_partial.data() + there, bytes.data(), taken);
        }
        sum.m_length += taken;
        if (partial(sum) == 0) {
            compress_one(sum.m_state, sum.m_partial.data(), 1);
        }
        return bytes.subspan(taken);
    }

    /// Keeps the rest for later. \param bytes less than a step.
    static void keep(sha1_sum& sum, std::span<std::byte const> bytes) {
        std::ranges::copy(bytes, sum.m_partial.begin());
        sum.m_length += bytes.size();
    }

    /// Adds \p steps steps to each of the first Lanes parts.
    template <std::size_t Lanes>
    static void advance(std::span<sha1_part* const> parts, std::size_t steps) {
        if constexpr (Lanes == 1) {
            compress_one(parts[0]->sum->m_state, parts[0]->bytes.data(), steps);
        } else {
#if defined(__x86_64__)
            std::array<sha1_state*, Lanes> states{};
            std::array<std::byte const*, Lanes> bytes{};
            for (std::size_t i = 0; i < Lanes; ++i) {
                states[i] = &parts[i]->sum->m_state;
                bytes[i] = parts[i]->bytes.data();
            }
            compress_lanes<Lanes>(states, bytes, steps);
#endif
        }
        for (auto* const part : parts.first(Lanes)) {
            part->sum->m_length += steps * step_size;
            part->bytes = part->bytes.subspan(steps * step_size);
        }
    }

    static sha1_digest finish(sha1_sum& sum) {
        auto const bits = sum.m_length * 8;
        std::array<std::byte, 2 * step_size> padding{std::byte{0x80}};
        auto const size = step_size - (sum.m_length + 8) % step_size + 8;
        for (std::size_t i = 0; i < 8; ++i) {
            padding[size - 1 - i] = static_cast<std::byte>(bits >> (8 * i));
        }
        sum.update(std::span(padding).first(size));
        sha1_digest digest{};
        for (std::size_t i = 0; i < digest.size(); ++i) {
            digest[i] = static_cast<char>(sum.m_state[i / 4] >> (24 - 8 * (i % 4)));
        }
        return digest;
    }
};

bool sha1_in_lanes() noexcept {
    return in_lanes;
}

void sha1_update(std::span<sha1_part> parts) {
    for (auto& part : parts) {
        part.bytes = sha1_lanes::complete_step(*part.sum, part.bytes);
    }
    for (;;) {
        std::array<sha1_part*, most_sha1_lanes> lanes{};
        std::size_t count = 0;
        for (auto& part : parts) {
            if (part.bytes.size() >= step_size && count < (in_lanes ? lanes.size() : 1)) {
                lanes[count++] = &part;
            }
        }
        if (count == 0) {
            break;
        }
        auto const chosen = std::span<sha1_part* const>(lanes).first(count);
        auto const shortest =
            std::ranges::min(chosen, {}, [](sha1_part const* part) { return part->bytes.size(); })->bytes.size();
        auto const steps = shortest / step_size;
        switch (count) {
        case 1:
            sha1_lanes::advance<1>(chosen, steps);
            break;
        case 2:
            sha1_lanes::advance<2>(chosen, steps);
            break;
        case 3:
            sha1_lanes::advance<3>(chosen, steps);
            break;
        default:
            sha1_lanes::advance<4>(chosen, steps);
            break;
        }
    }
    for (auto& part : parts) {
        sha1_lanes::keep(*part.sum, part.bytes);
        part.bytes = {};
    }
}

void sha1_sum::update(std::span<std::byte const> bytes) {
    std::array parts{sha1_part{this, bytes}};
    sha1_update(parts);
}

sha1_digest sha1_sum::final() {
    return sha1_lanes::finish(*this);
}

} // namespace seedbed
