#include "core/backend/image_verifier.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <libtorrent/file_storage.hpp>
#include <libtorrent/hasher.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/cache/block_pool.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

constexpr std::int32_t chunk_size = 1 << 20;

/// The root of a Merkle tree over \p leaves, padded with zero hashes to a power of two of at least \p width (BEP 52).
lt::sha256_hash merkle_root(std::vector<lt::sha256_hash> leaves, std::size_t width) {
    leaves.resize(std::bit_ceil(std::max(leaves.size(), width)));
    while (leaves.size() > 1) {
        for (std::size_t i = 0; i < leaves.size() / 2; ++i) {
            lt::hasher256 parent;
            parent.update(leaves[2 * i].data(), static_cast<int>(lt::sha256_hash::size()));
            parent.update(leaves[2 * i + 1].data(), static_cast<int>(lt::sha256_hash::size()));
            leaves[i] = parent.final();
        }
        leaves.resize(leaves.size() / 2);
    }
    return leaves.front();
}

/// Whether a v2 torrent's piece has these block hashes.
bool v2_piece_matches(lt::torrent_info const& info, lt::piece_index_t piece, std::vector<lt::sha256_hash> blocks) {
    auto const& files = info.orig_files();
    auto const file = files.file_index_at_piece(piece);
    if (files.file_size(file) <= files.piece_length()) {
        return merkle_root(std::move(blocks), 1) == files.root(file);
    }
    auto const layer = info.piece_layer(file);
    auto const first = files.piece_index_at_file(file);
    auto const index = static_cast<std::int32_t>(piece) - static_cast<std::int32_t>(first);
    auto const at = index * static_cast<std::int32_t>(lt::sha256_hash::size());
    if (at + static_cast<std::int32_t>(lt::sha256_hash::size()) > static_cast<std::int32_t>(layer.size())) {
        return false;
    }
    auto const width = static_cast<std::size_t>(files.piece_length() / block_size);
    return merkle_root(std::move(blocks), width) == lt::sha256_hash(layer.data() + at);
}

std::span<std::byte> chunk_buffer() {
    thread_local std::vector<std::byte> memory(chunk_size);
    return memory;
}

/// Hashes a piece that arrives in order, in parts.
class piece_check {
public:
    piece_check(lt::torrent_info const& info, piece_index piece)
        : m_info(info)
        , m_piece(piece.value())
        , m_v1(info.info_hashes().has_v1()) {}

    /// \param bytes a multiple of the block size, except the last time.
    void update(std::span<std::byte const> bytes) {
        auto const* const chars = reinterpret_cast<char const*>(bytes.data());
        auto const count = static_cast<std::int32_t>(bytes.size());
        if (m_v1) {
            m_sha1.update(chars, count);
            return;
        }
        for (std::int32_t at = 0; at < count; at += block_size) {
            m_blocks.push_back(lt::hasher256(chars + at, std::min(block_size, count - at)).final());
        }
    }

    [[nodiscard]] bool matches() {
        return m_v1 ? m_sha1.final() == m_info.hash_for_piece(m_piece)
                    : v2_piece_matches(m_info, m_piece, std::move(m_blocks));
    }

private:
    lt::torrent_info const& m_info;
    lt::piece_index_t const m_piece;
    bool const m_v1;
    lt::hasher m_sha1;
    std::vector<lt::sha256_hash> m_blocks;
};

/// Whether a piece on the medium matches the torrent; nothing if \p cancelled was set before all of it was read.
/// \param reader if locked, the whole piece is read before it is hashed, and the lock is released in between.
result<std::optional<bool>, io_error> piece_matches(image_device& image, piece_index piece,
                                                    std::atomic<bool> const& cancelled,
                                                    std::unique_lock<std::mutex>& reader) {
    auto const& info = *image.torrent().info;
    auto const size = info.info_hashes().has_v1() ? image.piece_size(piece)
                                                  : info.orig_files().piece_size2(lt::piece_index_t{piece.value()});
    piece_check check(info, piece);
    std::vector<std::byte> whole(reader.owns_lock() ? static_cast<std::size_t>(size) : 0);
    auto const chunk_of = [size](std::int32_t done) {
        return static_cast<std::size_t>(std::min(chunk_size, size - done));
    };
    for (std::int32_t done = 0; done < size; done += chunk_size) {
        if (cancelled.load(std::memory_order_relaxed)) {
            return std::nullopt; // the rest of a piece takes too long on a slow disk
        }
        auto const bytes = whole.empty() ? chunk_buffer().first(chunk_of(done))
                                         : std::span(whole).subspan(static_cast<std::size_t>(done), chunk_of(done));
        if (auto const read = image.read_medium(image.stream_offset(piece, done), bytes); !read) {
            return tl::unexpected(read.error());
        }
        if (whole.empty()) {
            check.update(bytes);
        }
    }
    if (!whole.empty()) {
        reader.unlock();
        check.update(whole);
    }
    return check.matches();
}

} // namespace

/// The pieces of a group are read in turn, in chunks that fit into a worker's buffer together.
class image_verifier::group {
public:
    void add(piece_index piece) { m_members[m_count++].piece = piece; }
    [[nodiscard]] std::size_t size() const noexcept { return m_count; }
    [[nodiscard]] piece_index front() const noexcept { return m_members.front().piece; }

    struct member {
        piece_index piece;
        sha1_sum sha1;
        std::optional<io_error> failed;
    };
    [[nodiscard]] std::span<member> members() noexcept { return std::span(m_members).first(m_count); }

private:
    std::array<member, most_sha1_lanes> m_members;
    std::size_t m_count = 0;
};

image_verifier::image_verifier(private_tag, std::shared_ptr<image_device> image, worker_pool& workers, bool one_reads,
                               handler done, std::vector<bool> only, bool skip_unreadable)
    : m_image(std::move(image))
    , m_workers(workers)
    , m_done(std::move(done))
    , m_one_reads(one_reads)
    , m_only(std::move(only))
    , m_skip_unreadable(skip_unreadable)
    , m_together(!one_reads && m_image->packed() == nullptr && m_image->torrent().info->info_hashes().has_v1() &&
                 sha1_in_lanes())
    , m_left(m_only.empty() ? m_image->torrent().piece_count
                            : static_cast<std::int32_t>(std::ranges::count(m_only, true))) {}

std::shared_ptr<image_verifier> image_verifier::start(std::shared_ptr<image_device> image, worker_pool& workers,
                                                      pace how, handler done, std::vector<bool> only,
                                                      bool skip_unreadable) {
    auto verifier = std::make_shared<image_verifier>(private_tag{}, std::move(image), workers, how.one_reads,
                                                     std::move(done), std::move(only), skip_unreadable);
    auto const count = std::max(how.parallel, 1);
    verifier->m_running.store(count, std::memory_order_relaxed);
    for (int i = 0; i < count; ++i) {
        // Reads wait for the device: lend the workers, so that other work keeps as many as before.
        workers.lend_thread();
        verifier->submit();
    }
    return verifier;
}

std::int32_t image_verifier::take_next() {
    auto const pieces = m_image->torrent().piece_count;
    auto piece = m_next.fetch_add(1, std::memory_order_relaxed);
    while (piece < pieces && !m_only.empty() && !m_only[static_cast<std::size_t>(piece)]) {
        piece = m_next.fetch_add(1, std::memory_order_relaxed);
    }
    if (piece < pieces) {
        m_left.fetch_sub(1, std::memory_order_relaxed);
    }
    return piece;
}

/// As many pieces as can be checked together, but not those that other workers could check meanwhile.
image_verifier::group image_verifier::take_group() {
    auto const share = m_left.load(std::memory_order_relaxed) / m_running.load(std::memory_order_relaxed);
    auto const wanted = m_together ? std::clamp<std::int32_t>(share, 1, most_sha1_lanes) : 1;
    group taken;
    while (static_cast<std::int32_t>(taken.size()) < wanted) {
        auto const piece = take_next();
        if (piece >= m_image->torrent().piece_count) {
            break;
        }
        taken.add(piece_index{piece});
    }
    return taken;
}

void image_verifier::submit() {
    retry_on_bad_alloc([this] { m_workers.submit([self = shared_from_this()] { self->verify_next(); }); });
}

void image_verifier::verify_next() {
    std::unique_lock<std::mutex> reader(m_reader, std::defer_lock);
    if (m_one_reads) {
        reader.lock(); // before choosing the piece, so that the disk gets them in order
    }
    if (!m_failed.load(std::memory_order_relaxed) && !m_cancelled.load(std::memory_order_relaxed)) {
        if (auto taken = take_group(); taken.size() > 0) {
            try {
                if (taken.size() > 1) {
                    verify(taken);
                } else {
                    verify(taken.front(), reader);
                }
            } catch (std::bad_alloc const&) {
                for (auto const& each : taken.members()) {
                    retry_on_bad_alloc([&] {
                        fail(each.piece, make_io_error(io_operation::hash, m_image->device().path(),
                                                       m_image->on_device(m_image->stream_offset(each.piece, 0)),
                                                       m_image->piece_size(each.piece), ENOMEM));
                    });
                }
            }
            if (reader.owns_lock()) {
                reader.unlock();
            }
            submit();
            return;
        }
    }
    if (reader.owns_lock()) {
        reader.unlock();
    }
    leave();
}

void image_verifier::fail(piece_index piece, io_error error) {
    std::scoped_lock const lock(m_mutex);
    if (m_skip_unreadable) {
        m_outcome.unreadable.push_back(piece);
    } else {
        m_failed.store(true, std::memory_order_relaxed);
    }
    if (!m_outcome.read_failed) {
        m_outcome.read_failed = std::move(error);
    }
}

void image_verifier::verify(piece_index piece, std::unique_lock<std::mutex>& reader) {
    auto* const packed = m_image->packed();
    auto const matches =
        packed != nullptr ? packed->matches(piece, m_cancelled) : piece_matches(*m_image, piece, m_cancelled, reader);
    if (!matches) {
        fail(piece, copy_of(matches.error()));
        return;
    }
    record(piece, *matches);
}

void image_verifier::verify(group& pieces) {
    auto const members = pieces.members();
    constexpr std::size_t alignment = 64 << 10;
    auto const room = chunk_buffer();
    auto const chunk = room.size() / members.size() / alignment * alignment;
    auto left = members.size(); // members that are not complete and have not failed
    for (std::size_t done = 0; left > 0; done += chunk) {
        std::array<sha1_part, most_sha1_lanes> parts;
        std::size_t count = 0;
        left = 0;
        for (auto& each : members) {
            auto const size = static_cast<std::size_t>(m_image->piece_size(each.piece));
            if (each.failed || done >= size) {
                continue;
            }
            if (m_cancelled.load(std::memory_order_relaxed)) {
                record(each.piece, std::nullopt);
                return;
            }
            auto const bytes = room.subspan(count * chunk, std::min(chunk, size - done));
            auto const at = m_image->stream_offset(each.piece, static_cast<std::int32_t>(done));
            if (auto const read = m_image->read_medium(at, bytes); !read) {
                if (!m_skip_unreadable) {
                    fail(each.piece, copy_of(read.error()));
                    return; // the result is certain
                }
                each.failed = copy_of(read.error());
                continue;
            }
            parts[count++] = {&each.sha1, bytes};
            left += done + bytes.size() < size ? 1 : 0;
        }
        sha1_update(std::span(parts).first(count));
    }
    for (auto& each : members) {
        if (each.failed) {
            fail(each.piece, std::move(*each.failed));
        } else {
            auto const wanted = m_image->torrent().info->hash_for_piece(lt::piece_index_t{each.piece.value()});
            record(each.piece, lt::sha1_hash(each.sha1.final().data()) == wanted);
        }
    }
}

void image_verifier::record(piece_index piece, std::optional<bool> matches) {
    if (matches) {
        m_verified.fetch_add(m_image->stored_size(piece), std::memory_order_relaxed);
        if (*matches) {
            return;
        }
    }
    std::scoped_lock const lock(m_mutex);
    if (matches) {
        m_outcome.pieces.push_back(piece);
    } else {
        m_outcome.cancelled = true;
    }
}

void image_verifier::leave() {
    m_workers.return_thread();
    if (m_running.fetch_sub(1, std::memory_order_acq_rel) > 1) {
        return;
    }
    auto const pieces_left = m_next.load(std::memory_order_relaxed) < m_image->torrent().piece_count;
    m_outcome.cancelled = !m_failed.load(std::memory_order_relaxed) && (m_outcome.cancelled || pieces_left);
    std::ranges::sort(m_outcome.pieces);
    std::ranges::sort(m_outcome.unreadable);
    retry_on_bad_alloc([this] { list_differing(); });
    retry_on_bad_alloc([this] { m_done(m_outcome); });
}

void image_verifier::list_differing() {
    m_outcome.differing.clear();
    for (auto const piece : m_outcome.pieces) {
        auto const slices = m_image->stored_slices(piece);
        m_outcome.differing.insert(m_outcome.differing.end(), slices.begin(), slices.end());
    }
}

} // namespace seedbed
