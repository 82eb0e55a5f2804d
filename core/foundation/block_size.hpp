#pragma once

namespace seedbed {

/// Bytes in a block, the unit of a BitTorrent request. The last block of a piece may be shorter.
inline constexpr int block_size = 16 * 1024;

} // namespace seedbed
