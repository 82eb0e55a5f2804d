#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/unique_fd.hpp"
#include "core/image/chunk_transfer.hpp"
#include "core/image/packed_image.hpp"
#include "core/layout/boot_sectors.hpp"

namespace seedbed {

/// A packed file that is open for reading.
struct opened_packed_file {
    unique_fd fd;
    std::string path;
};

/// Opens the packed file of an image. Refuses, with one line, a file that cannot be read, is not a regular file, or
/// does not have the size that the .torrent states.
[[nodiscard]] result<opened_packed_file> open_packed_file(std::string const& path, packed_image const& image);

struct restore_options {
    chunk_placement placement = {};
    /// For compare_packed(): fields that differ from the image on purpose.
    std::vector<corrected_field> corrected = {};
    int threads = 2;
    /// Bytes of the device that are done, about ten times a second, on the calling thread.
    std::function<void(std::int64_t)> progress;
    std::atomic<bool> const* cancelled = nullptr; ///< the work ends soon after it becomes true
};

/// Why a restoration has failed.
struct restore_failure {
    enum class cause : std::uint8_t {
        image, ///< the packed file is damaged or cannot be read
        device ///< it cannot be written or flushed
    };
    cause what = cause::image;
    std::string message; ///< one line
};

/// Writes a packed image to a device and flushes it. Each piece is authenticated by its SHA-1, compared with the index
/// and unpacked as a whole before any of it is written. Chunks of zeros are written, too. Half an image can look like a
/// whole one, unless the device prevents it, as an ends_last_device does.
///
/// \param device holds all chunks where the placement puts them. \return false if it was cancelled.
/// Threads: any that may block. It has threads of its own, which end before it returns. Throws std::bad_alloc and
/// std::system_error.
[[nodiscard]] result<bool, restore_failure> write_packed(packed_image const& image, opened_packed_file const& file,
                                                         block_device& device, restore_options const& options);

struct packed_comparison {
    std::vector<std::size_t> differing; ///< chunks of the index, ascending
    std::optional<io_error> read_failed;
    bool cancelled = false;

    [[nodiscard]] bool ok() const noexcept { return differing.empty() && !read_failed && !cancelled; }
};

/// Reads all chunks back, past the page cache, and compares their XXH3. Ends at the first read error. Needs no packed
/// file. \param device as for write_packed(). Threads and exceptions as write_packed().
[[nodiscard]] packed_comparison compare_packed(packed_image const& image, block_device& device,
                                               restore_options const& options);

} // namespace seedbed
