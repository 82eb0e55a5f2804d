#include "core/backend/piece_hasher.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <semaphore>

#include <libtorrent/hasher.hpp>

namespace seedbed {

namespace {

constexpr std::int32_t chunk_size = 1 << 20;

std::span<char const> as_chars(std::span<std::byte const> bytes) {
    return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/// True where dirty blocks cover all of the range, so that the device need not be asked.
bool covers(std::vector<dirty_block> const& overlay, std::int64_t offset, std::int64_t length) {
    auto const end = offset + length;
    for (auto const& block : overlay) {
        if (block.stream_offset <= offset && block.stream_offset + block.length > offset) {
            offset = block.stream_offset + block.length;
        }
    }
    return offset >= end;
}

/// One read on the device's workers that the hash worker waits for.
class chunk_read {
public:
    chunk_read()
        : m_buffer(std::make_unique<std::byte[]>(chunk_size)) {}

    void start(image_storage& image, std::vector<dirty_block> const& overlay, std::int64_t offset,
               std::int32_t length) {
        m_bytes = {m_buffer.get(), static_cast<std::size_t>(length)};
        m_offset = offset;
        m_overlay = &overlay;
        m_outcome = {};
        m_from_device = !covers(overlay, offset, length);
        if (m_from_device) {
            image.queue().submit([this, &image] {
                m_outcome = image.read(m_offset, m_bytes);
                m_done.release();
            });
        }
    }

    /// The bytes as every write posted before the hash left them.
    result<std::span<std::byte const>, io_error> wait() {
        if (m_from_device) {
            m_done.acquire();
        }
        if (!m_outcome) {
            return tl::unexpected(m_outcome.error());
        }
        for (auto const& block : *m_overlay) {
            copy_overlap(block, m_offset, m_bytes);
        }
        return std::span<std::byte const>(m_bytes);
    }

private:
    std::unique_ptr<std::byte[]> m_buffer;
    std::span<std::byte> m_bytes;
    std::int64_t m_offset = 0;
    std::vector<dirty_block> const* m_overlay = nullptr;
    result<void, io_error> m_outcome;
    bool m_from_device = false;
    std::binary_semaphore m_done{0};
};

/// The buffers of a hash worker, kept from piece to piece.
std::array<chunk_read, 2>& worker_chunks() {
    thread_local std::array<chunk_read, 2> chunks;
    return chunks;
}

/// Feeds the stream's bytes [offset, offset + length) to \p consume in chunks, in order.
template <class Consume>
result<void, io_error> stream_chunks(image_storage& image, std::vector<dirty_block> const& overlay, std::int64_t offset,
                                     std::int32_t length, Consume const& consume) {
    auto& chunks = worker_chunks();
    auto const size_at = [length](std::int32_t done) { return std::min(chunk_size, length - done); };
    std::size_t current = 0;
    chunks[current].start(image, overlay, offset, size_at(0));
    for (std::int32_t done = 0; done < length;) {
        auto const size = size_at(done);
        auto const bytes = chunks[current].wait();
        if (!bytes) {
            return tl::unexpected(bytes.error());
        }
        auto const next = done + size;
        if (next < length) {
            chunks[1 - current].start(image, overlay, offset + next, size_at(next));
        }
        consume(done, *bytes);
        done = next;
        current = 1 - current;
    }
    return {};
}

} // namespace

result<void, io_error> hash_piece(image_storage& image, piece_hash_request const& request,
                                  libtorrent::sha1_hash& sha1) {
    auto const v1_size = request.v1 ? image.piece_size(request.piece) : 0;
    auto const v2_size = request.block_hashes.empty() ? 0 : request.v2_size;
    libtorrent::hasher whole;
    auto outcome = stream_chunks(
        image, request.overlay, image.stream_offset(request.piece, 0), std::max(v1_size, v2_size),
        [&](std::int32_t done, std::span<std::byte const> bytes) {
            if (request.v1) {
                auto const chars = as_chars(bytes.first(
                    static_cast<std::size_t>(std::clamp(v1_size - done, 0, static_cast<std::int32_t>(bytes.size())))));
                whole.update(chars.data(), static_cast<int>(chars.size()));
            }
            for (std::int32_t at = done; at < std::min(v2_size, done + static_cast<std::int32_t>(bytes.size()));
                 at += block_size) {
                auto const size = std::min(block_size, v2_size - at);
                auto const chars =
                    as_chars(bytes.subspan(static_cast<std::size_t>(at - done), static_cast<std::size_t>(size)));
                request.block_hashes[static_cast<std::size_t>(at / block_size)] =
                    libtorrent::hasher256(chars.data(), static_cast<int>(chars.size())).final();
            }
        });
    if (outcome && request.v1) {
        sha1 = whole.final();
    }
    return outcome;
}

result<void, io_error> hash_block(image_storage& image, std::int64_t stream_offset, std::int32_t length,
                                  std::vector<dirty_block> const& overlay, libtorrent::sha256_hash& sha256) {
    return stream_chunks(image, overlay, stream_offset, length, [&](std::int32_t, std::span<std::byte const> bytes) {
        auto const chars = as_chars(bytes);
        sha256 = libtorrent::hasher256(chars.data(), static_cast<int>(chars.size())).final();
    });
}

} // namespace seedbed
