#pragma once

#include <cerrno>

namespace seedbed {

// Codes of an io_error that are about a piece of an image, not about a device. No kernel reports them for a disk.

/// Of a read of a packed image: the piece can no longer be supplied. The device holds other bytes by now, or another
/// version of zstd has packed the image.
inline constexpr int piece_withdrawn = ENOMSG;
/// Of a write of a packed image: the piece is authentic, but violates the format.
inline constexpr int piece_refused = EPROTO;
/// Of the hash or a read of a source: the piece does not match the torrent.
inline constexpr int piece_differs = EDOM;

} // namespace seedbed
