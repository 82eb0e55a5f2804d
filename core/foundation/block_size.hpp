#pragma once

namespace seedbed {

/// Bytes of a block: what a BitTorrent client asks for at a time. The last one of a piece may be shorter.
inline constexpr int block_size = 16 * 1024;

} // namespace seedbed
