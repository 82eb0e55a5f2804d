#include "core/image/first_piece.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <libtorrent/hasher.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/device/full_transfer.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t most_read_at_once = 1 << 20;

} // namespace

bool begins_with_first_piece(std::string const& path, image_torrent const& torrent) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd || !torrent.v1 || torrent.extents.extents().front().device_offset != 0) {
        return false;
    }
    std::vector<char> buffer(static_cast<std::size_t>(most_read_at_once));
    auto const read = [&](void* to, std::size_t count, std::int64_t from) {
        return ::pread(fd.get(), to, count, from);
    };
    libtorrent::hasher sum;
    bool whole = true;
    auto const size = std::min<std::int64_t>(torrent.piece_length, torrent.extents.total_size());
    torrent.extents.for_each_slice({}, size, [&](extent const& slice) {
        for (std::int64_t done = 0; whole && done < slice.length;) {
            std::span<char> const part(buffer.data(),
                                       static_cast<std::size_t>(std::min(slice.length - done, most_read_at_once)));
            if (slice.device_offset == extent::padding) {
                std::ranges::fill(part, '\0');
            } else {
                whole = transfer_fully(read, slice.device_offset + done, part) == 0;
            }
            sum.update(part.data(), static_cast<int>(part.size()));
            done += static_cast<std::int64_t>(part.size());
        }
    });
    return whole && sum.final() == torrent.info->hash_for_piece(libtorrent::piece_index_t{0});
}

} // namespace seedbed
