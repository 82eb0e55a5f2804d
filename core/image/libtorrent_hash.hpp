#pragma once

#include <span>

#include <libtorrent/sha1_hash.hpp>

#include "core/foundation/info_hash.hpp"

namespace seedbed {

/// The hash that libtorrent has for a torrent; of a v2 torrent the truncated one.
[[nodiscard]] inline info_hash to_info_hash(libtorrent::sha1_hash const& hash) noexcept {
    return info_hash(std::span<char const, info_hash::size>(hash.data(), info_hash::size));
}

} // namespace seedbed
