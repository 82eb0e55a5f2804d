#include "core/image/capture.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/image/block_layout.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t least_unit = 1 << 20;
constexpr std::size_t most_extents = 20'000; ///< of a sparse file: a .torrent of 1.2 MB
constexpr std::int64_t longest_extent = 4LL << 40;
constexpr std::int64_t most_pieces = 0x200000;

struct byte_range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
};

tl::unexpected<error> failure(block_device const& source, std::string const& reason) {
    return tl::unexpected(error{source.path() + ": " + reason});
}

/// Extends ranges to multiples of \p unit, or to \p size at the end, and merges those that meet.
std::vector<byte_range> rounded(std::vector<byte_range> const& ranges, std::int64_t unit, std::int64_t size) {
    std::vector<byte_range> made;
    for (auto const& range : ranges) {
        auto const begin = range.begin / unit * unit;
        auto const end = std::min((range.end + unit - 1) / unit * unit, size);
        if (!made.empty() && begin <= made.back().end) {
            made.back().end = std::max(made.back().end, end);
        } else {
            made.push_back({begin, end});
        }
    }
    return made;
}

/// The ranges of a file that are not holes, or errno. A file system without support for holes reports one range of
/// data.
result<std::vector<byte_range>, int> find_data(int fd, std::int64_t size) {
    std::vector<byte_range> found;
    for (std::int64_t at = 0; at < size;) {
        auto const begin = ::lseek(fd, at, SEEK_DATA);
        if (begin < 0 && errno == ENXIO) {
            break; // a hole up to the end of the file
        }
        auto const end = begin < 0 ? -1 : ::lseek(fd, begin, SEEK_HOLE);
        if (end < 0) {
            return tl::make_unexpected(errno);
        }
        found.push_back({begin, std::min<std::int64_t>(end, size)});
        // Limit the memory for a file with millions of fragments.
        if (found.size() % most_extents == 0) {
            found = rounded(found, least_unit, size);
        }
        at = std::max<std::int64_t>(end, at + 1);
    }
    return found;
}

std::vector<extent> to_extents(std::vector<byte_range> const& ranges) {
    std::vector<extent> extents;
    for (auto const& range : ranges) {
        for (auto at = range.begin; at < range.end; at += longest_extent) {
            extents.push_back({at, std::min(longest_extent, range.end - at)});
        }
    }
    return extents;
}

/// The properties of a source that reveal a change.
struct source_state {
    std::int64_t size = 0;
    std::int64_t modified_seconds = 0;
    std::int64_t modified_nanoseconds = 0;

    friend bool operator==(source_state const&, source_state const&) = default;
};

result<source_state, int> look_at(block_device const& source) {
    auto const raw = source.raw();
    if (!raw) {
        return source_state{source.size()};
    }
    struct ::stat status = {};
    if (::fstat(raw->cached, &status) != 0) {
        return tl::make_unexpected(errno);
    }
    if (S_ISBLK(status.st_mode)) {
        // The modification time is that of the node in /dev, which a write to the device does not change.
        std::uint64_t size = 0;
        if (::ioctl(raw->cached, BLKGETSIZE64, &size) != 0) {
            return tl::make_unexpected(errno);
        }
        return source_state{static_cast<std::int64_t>(size)};
    }
    return source_state{status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

} // namespace

result<extent_map> find_raw_extents(block_device const& source, bool holes) {
    auto const size = source.size();
    if (size == 0) {
        return failure(source, "is empty");
    }
    auto const raw = source.raw();
    struct ::stat status = {};
    if (raw && ::fstat(raw->cached, &status) != 0) {
        return tl::unexpected(errno_error(source.path(), errno));
    }
    std::vector<byte_range> ranges{{0, size}};
    if (raw && S_ISREG(status.st_mode) && !holes) {
        auto const data = find_data(raw->cached, size);
        if (!data) {
            return tl::unexpected(errno_error(source.path() + ": its holes cannot be found", data.error()));
        }
        if (data->empty()) {
            return failure(source, "contains nothing but holes");
        }
        auto unit = least_unit;
        ranges = rounded(*data, unit, size);
        while (ranges.size() > most_extents) {
            unit *= 2;
            ranges = rounded(ranges, unit, size);
        }
    }
    return extent_map::make(to_extents(ranges)).map_error([&](error const& e) {
        return error{source.path() + ": " + e.message};
    });
}

result<std::optional<captured_image>, capture_error> capture_raw(block_device& source,
                                                                 raw_capture_options const& options) {
    auto const before = look_at(source);
    if (!before) {
        return tl::make_unexpected(capture_error{errno_error(source.path(), before.error()).message, true});
    }
    auto extents = find_raw_extents(source, options.holes);
    if (!extents) {
        return tl::make_unexpected(capture_error{extents.error().message, true});
    }
    auto const total = extents->total_size();
    block_layout const layout(byte_count{total}, byte_count{options.hashing.piece_length});
    if (auto const pieces = layout.piece_count(); pieces > most_pieces) {
        return tl::make_unexpected(capture_error{source.path() + ": " + std::to_string(pieces) +
                                                     " pieces are more than clients accept (" +
                                                     std::to_string(most_pieces) + "); use longer pieces",
                                                 true});
    }
    auto how = options.hashing;
    if (options.progress) {
        how.progress = [&](std::int64_t hashed) { options.progress(hashed, total); };
    }
    auto hashes = hash_pieces(source, *extents, how);
    // Check this first: the end of a truncated file looks like a disk error.
    if (auto const after = look_at(source); !after || *after != *before) {
        return tl::make_unexpected(capture_error{source.path() + ": was changed while it was being read"});
    }
    if (!hashes) {
        return tl::make_unexpected(capture_error{hashes.error().message()});
    }
    if (!*hashes) {
        return std::nullopt;
    }
    return captured_image{std::move(*extents), std::move(**hashes)};
}

} // namespace seedbed
