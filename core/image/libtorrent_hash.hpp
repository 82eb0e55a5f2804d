#pragma once

#include <span>

#include <libtorrent/sha1_hash.hpp>

#include "core/foundation/info_hash.hpp"

namespace seedbed {

/// Converts libtorrent's hash of a torrent, which for a v2 torrent is the truncated one.
[[nodiscard]] inline info_hash to_info_hash(libtorrent::sha1_hash const& hash) noexcept {
    return info_hash(std::span<char const, info_hash::size>(hash.data(), info_hash::size));
}

} // namespace seedbed
