#include "core/image/packed_target.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "core/foundation/block_size.hpp"
#include "core/foundation/lazy_array.hpp"
#include "core/image/packed_piece.hpp"
#include "core/image/packed_writer.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace {

/// Pieces that are kept whatever the budget: a peer reads a piece in several parts.
constexpr std::int64_t least_kept = 4;

/// The greatest number of bytes that a piece unpacks to.
std::int64_t largest_unpacked(packed_image const& image) {
    std::int64_t largest = 1;
    for (piece_index piece{0}; piece.value() < image.piece_count(); ++piece) {
        largest = std::max(largest, unpacked_size(image.index.chunks_of(piece)));
    }
    return largest;
}

std::vector<extent> joined_extents(std::span<packed_chunk const> chunks, chunk_placement const& placement) {
    std::vector<extent> extents;
    for (auto const& chunk : chunks) {
        auto const offset = placement.of(chunk).value();
        if (!extents.empty() && extents.back().device_offset + extents.back().length == offset) {
            extents.back().length += chunk.raw_length;
        } else {
            extents.push_back({offset, chunk.raw_length});
        }
    }
    return extents;
}

sha1_digest sha1_of(std::span<std::byte const> bytes) {
    sha1_sum sum;
    sum.update(bytes);
    return sum.final();
}

} // namespace

/// A piece in memory.
struct packed_target::held_piece {
    enum class stage : std::uint8_t { arriving, unpacking, complete, rebuilding };

    held_piece(piece_index which, std::size_t bytes)
        : number(which)
        , size(bytes)
        , arrived((bytes + block_size - 1) / block_size)
        , missing(arrived.size())
        , memory(bytes) {}

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {&memory[0], size}; }
    [[nodiscard]] std::span<std::byte> bytes(piece_part const& part) const noexcept {
        return bytes().subspan(part.begin, part.length);
    }

    piece_index const number;
    std::size_t const size;
    stage now = stage::arriving;
    std::vector<bool> arrived; ///< blocks
    std::size_t missing;       ///< blocks
    /// Not guarded: a block is written before it is marked as arrived, and read only after that.
    lazy_array<std::byte> const memory;
};

/// What a thread needs to unpack or rebuild a piece.
struct packed_target::scratch {
    explicit scratch(int level)
        : packer(level) {}

    raw_buffer raw;
    chunk_unpacker unpacker;
    chunk_packer packer;
};

/// A few of them, made when needed; a thread that finds none free waits.
class packed_target::scratch_pool {
public:
    scratch_pool(int most, int level)
        : m_left(most)
        , m_level(level) {
        m_free.reserve(static_cast<std::size_t>(most));
    }

    /// One of them; returned to the pool at the end.
    class loan {
    public:
        explicit loan(scratch_pool& from)
            : m_from(from)
            , m_what(from.take()) {}
        loan(loan const&) = delete;
        loan& operator=(loan const&) = delete;
        ~loan() { m_from.give_back(std::move(m_what)); }
        [[nodiscard]] scratch* operator->() const noexcept { return m_what.get(); }

    private:
        scratch_pool& m_from;
        std::unique_ptr<scratch> m_what;
    };

private:
    [[nodiscard]] std::unique_ptr<scratch> take() {
        std::unique_lock lock(m_mutex);
        m_given_back.wait(lock, [this] { return m_left > 0 || !m_free.empty(); });
        if (m_free.empty()) {
            auto made = std::make_unique<scratch>(m_level);
            --m_left;
            return made;
        }
        auto taken = std::move(m_free.back());
        m_free.pop_back();
        return taken;
    }
    void give_back(std::unique_ptr<scratch> what) noexcept {
        {
            std::scoped_lock const lock(m_mutex);
            m_free.push_back(std::move(what)); // has room for all of them
        }
        m_given_back.notify_one();
    }

    std::mutex m_mutex; ///< guards the members below
    std::condition_variable m_given_back;
    std::vector<std::unique_ptr<scratch>> m_free;
    int m_left; ///< that may still be made
    int const m_level;
};

packed_target::packed_target(std::shared_ptr<packed_image const> image, std::unique_ptr<block_device> device,
                             packed_target_options options)
    : m_image(std::move(image))
    , m_device(std::move(device))
    , m_options(std::move(options))
    , m_layout(m_image->layout())
    , m_budget(std::max(m_options.memory, least_kept * m_layout.piece_length().value()))
    , m_most_bytes(m_budget + std::max(m_budget / 4, least_kept * m_layout.piece_length().value()))
    , m_scratches(std::make_unique<scratch_pool>(
          static_cast<int>(std::clamp<std::int64_t>(m_options.scratch / largest_unpacked(*m_image), 1,
                                                    std::max(m_options.threads, 1))),
          packing_level(*m_image)))
    , m_rebuildable(static_cast<std::size_t>(m_image->piece_count()))
    , m_withdrawn(std::make_shared<withdrawn_pieces>(m_image->piece_count()))
    , m_supply(std::make_shared<piece_supply>(m_image->piece_count())) {}

packed_target::~packed_target() = default;

// --- ranges

io_error packed_target::failure(io_operation what, piece_index piece, int code, std::string detail) const {
    auto failed = make_io_error(what, m_device->path(), device_offset{}, 0, code);
    failed.detail = "piece " + std::to_string(piece.value()) + ": " + std::move(detail);
    return failed;
}

io_error packed_target::withdrawn_failure(piece_index piece) const {
    return failure(io_operation::read, piece, piece_withdrawn, "cannot be rebuilt from the device");
}

result<void, io_error> packed_target::check_range(io_operation what, std::int64_t offset, std::int64_t length) const {
    if (offset >= 0 && offset <= size() && length <= size() - offset) {
        return {};
    }
    return tl::make_unexpected(make_io_error(what, m_device->path(), device_offset{offset}, length, EINVAL));
}

template <class Transfer>
result<void, io_error> packed_target::for_each_part(std::int64_t offset, std::int64_t length,
                                                    Transfer const& transfer) {
    while (length > 0) {
        auto const piece = m_layout.piece_at(torrent_offset{offset});
        auto const begin = offset - (m_layout.begin_of(piece) - torrent_offset{}).value();
        auto const part = std::min(length, m_layout.piece_size(piece).value() - begin);
        if (auto done = transfer({piece, static_cast<std::size_t>(begin), static_cast<std::size_t>(part)}); !done) {
            return done;
        }
        offset += part;
        length -= part;
    }
    return {};
}

// --- writing

result<void, io_error> packed_target::write(std::int64_t offset, std::span<iovec const> memory) {
    if (auto checked = check_range(io_operation::write, offset, length_of(memory)); !checked) {
        return checked;
    }
    for (auto const& each : memory) {
        auto const* const bytes = static_cast<std::byte const*>(each.iov_base);
        if (auto written = write(offset, std::span(bytes, each.iov_len)); !written) {
            return written;
        }
        offset += static_cast<std::int64_t>(each.iov_len);
    }
    return {};
}

result<void, io_error> packed_target::write(std::int64_t offset, std::span<std::byte const> buffer) {
    auto const length = static_cast<std::int64_t>(buffer.size());
    if (auto checked = check_range(io_operation::write, offset, length); !checked) {
        return checked;
    }
    return for_each_part(offset, length, [&](piece_part const& part) -> result<void, io_error> {
        auto const bytes = buffer.first(part.length);
        buffer = buffer.subspan(part.length);
        auto const ends_piece =
            static_cast<std::int64_t>(part.begin + part.length) == m_layout.piece_size(part.piece).value();
        if (part.begin % block_size != 0 || (part.length % block_size != 0 && !ends_piece)) {
            return tl::make_unexpected(failure(io_operation::write, part.piece, EINVAL, "written in part of a block"));
        }
        return write_part(part, bytes);
    });
}

result<void, io_error> packed_target::write_part(piece_part const& part, std::span<std::byte const> bytes) {
    auto const held = hold_for_write(part, bytes);
    if (!held) {
        return {}; // the piece is complete, and has these bytes
    }
    std::ranges::copy(bytes, held->bytes(part).begin());
    if (!note_arrived(*held, part)) {
        return {};
    }
    auto const sha1 = sha1_of(held->bytes());
    auto const right = sha1 == m_image->hash_of(part.piece);
    if (!right) {
        drop(part.piece, held);
    }
    try {
        note_sha1(part.piece, sha1);
        if (!right) {
            return {};
        }
        auto written = unpack(part.piece, held->bytes());
        if (written) {
            keep(part.piece, held);
        } else {
            forget(*held, part);
        }
        return written;
    } catch (...) {
        forget(*held, part);
        throw;
    }
}

/// The piece to write a part of; null if it is complete and has the same bytes.
packed_target::held_ptr packed_target::hold_for_write(piece_part const& part, std::span<std::byte const> bytes) {
    using stage = held_piece::stage;
    std::unique_lock lock(m_mutex);
    if (auto const at = m_held.find(part.piece.value()); at != m_held.end()) {
        auto held = at->second;
        if (held->now == stage::arriving) {
            return held;
        }
        m_rebuilt.wait(lock, [&held] { return held->now != stage::rebuilding; });
        auto const same = held->now == stage::complete && std::ranges::equal(held->bytes(part), bytes);
        if (same) {
            return nullptr;
        }
    }
    return make_held(part.piece);
}

packed_target::held_ptr packed_target::make_held(piece_index piece) {
    auto const size = static_cast<std::size_t>(m_layout.piece_size(piece).value());
    auto held = std::make_shared<held_piece>(piece, size);
    auto& place = m_held[piece.value()];
    if (place) {
        std::erase(m_complete, place);
        m_held_bytes -= static_cast<std::int64_t>(place->size);
        m_supply->set_at_hand(piece, false);
    }
    place = held;
    m_held_bytes += static_cast<std::int64_t>(size);
    let_go_oldest();
    return held;
}

/// \return whether the piece is complete now: its last part is the caller's.
bool packed_target::note_arrived(held_piece& held, piece_part const& part) {
    std::scoped_lock const lock(m_mutex);
    for (auto block = part.begin / block_size; block * block_size < part.begin + part.length; ++block) {
        if (!held.arrived[block]) {
            held.arrived[block] = true;
            --held.missing;
        }
    }
    if (held.missing > 0 || held.now != held_piece::stage::arriving) {
        return false;
    }
    held.now = held_piece::stage::unpacking;
    return true;
}

/// The piece could not be written: its last part will be written again.
void packed_target::forget(held_piece& held, piece_part const& part) {
    std::scoped_lock const lock(m_mutex);
    held.now = held_piece::stage::arriving;
    for (auto block = part.begin / block_size; block * block_size < part.begin + part.length; ++block) {
        held.arrived[block] = false;
        ++held.missing;
    }
}

result<void, io_error> packed_target::unpack(piece_index piece, std::span<std::byte const> bytes) {
    auto const lies = [&](error const& why) {
        auto failed = failure(io_operation::write, piece, piece_refused);
        failed.detail = why.message + "; no part of this piece was written";
        return tl::make_unexpected(std::move(failed));
    };
    auto const chunks = check_piece(*m_image, piece, bytes);
    if (!chunks) {
        return lies(chunks.error());
    }
    scratch_pool::loan const mine(*m_scratches);
    auto const raw = mine->raw.of_size(unpacked_size(*chunks));
    if (auto const unpacked = unpack_piece(mine->unpacker, bytes, piece, *chunks, raw); !unpacked) {
        return lies(unpacked.error());
    }
    return write_chunks(*m_device, m_options.placement, *chunks, raw, [this](std::int64_t written) {
        m_bytes_written.fetch_add(written, std::memory_order_relaxed);
        return true;
    });
}

// --- the SHA-1 of pieces

void packed_target::note_sha1(piece_index piece, sha1_digest const& sha1) {
    std::vector<std::function<void()>> calls;
    {
        std::scoped_lock const lock(m_mutex);
        m_sha1s.insert_or_assign(piece.value(), sha1);
        m_known.store(m_sha1s.size());
        auto const [begin, end] = m_when_sha1.equal_range(piece.value());
        std::transform(begin, end, std::back_inserter(calls), [](auto& each) { return std::move(each.second); });
        m_when_sha1.erase(begin, end);
    }
    for (auto const& call : calls) {
        call();
    }
}

void packed_target::expect_sha1(piece_index piece) noexcept {
    if (m_known.load() > 0) {
        std::scoped_lock const lock(m_mutex);
        m_sha1s.erase(piece.value());
        m_known.store(m_sha1s.size());
    }
}

void packed_target::when_sha1(piece_index piece, std::function<void()> call) {
    {
        std::scoped_lock const lock(m_mutex);
        if (!m_sha1s.contains(piece.value())) {
            m_when_sha1.emplace(piece.value(), std::move(call));
            return;
        }
    }
    call();
}

std::optional<sha1_digest> packed_target::take_sha1(piece_index piece) {
    std::scoped_lock const lock(m_mutex);
    auto const taken = m_sha1s.extract(piece.value());
    m_known.store(m_sha1s.size());
    return taken ? std::optional(taken.mapped()) : std::nullopt;
}

void packed_target::forget_sha1s() noexcept {
    std::scoped_lock const lock(m_mutex);
    m_sha1s.clear();
    m_known.store(0);
}

// --- complete pieces

/// The piece is complete, and on the device.
void packed_target::keep(piece_index piece, held_ptr const& held) {
    std::scoped_lock const lock(m_mutex);
    held->now = held_piece::stage::complete;
    m_wrong.erase(piece.value());
    m_withdrawn->remove(piece);
    if (auto const at = m_held.find(piece.value()); at != m_held.end() && at->second == held) {
        m_complete.push_back(held);
        m_supply->set_at_hand(piece, true);
        let_go_oldest();
    }
}

/// The piece has arrived with a wrong SHA-1.
void packed_target::drop(piece_index piece, held_ptr const& held) {
    std::scoped_lock const lock(m_mutex);
    m_wrong.insert(piece.value());
    auto const at = m_held.find(piece.value());
    if (at != m_held.end() && at->second == held) {
        m_held_bytes -= static_cast<std::int64_t>(held->size);
        m_held.erase(at);
    }
}

/// Pieces that peers have requested leave last: if they cannot be rebuilt, all reads of them would fail.
void packed_target::let_go_oldest() {
    for (auto at = m_complete.begin(); m_held_bytes > m_budget && at != m_complete.end();) {
        at = m_supply->requested((*at)->number) ? std::next(at) : let_go(at);
    }
    while (m_held_bytes > m_most_bytes && !m_complete.empty()) {
        let_go(m_complete.begin());
    }
    if (!m_can_rebuild) { // no new requests for those that will leave next
        auto bytes = m_held_bytes;
        for (auto at = m_complete.begin(); bytes > m_budget && at != m_complete.end(); ++at) {
            bytes -= static_cast<std::int64_t>((*at)->size);
            m_withdrawn->add((*at)->number);
        }
    }
}

/// \return the next complete piece.
std::deque<packed_target::held_ptr>::iterator packed_target::let_go(std::deque<held_ptr>::const_iterator const& which) {
    auto const& held = *which;
    m_held_bytes -= static_cast<std::int64_t>(held->size);
    m_held.erase(held->number.value());
    m_supply->set_at_hand(held->number, m_rebuildable[static_cast<std::size_t>(held->number.value())]);
    if (!m_can_rebuild) {
        m_withdrawn->add(held->number);
    }
    return m_complete.erase(which);
}

/// \param rebuildable what an attempt has shown.
void packed_target::set_rebuildable(piece_index piece, bool rebuildable) {
    m_rebuildable[static_cast<std::size_t>(piece.value())] = rebuildable;
    m_supply->set_at_hand(piece, rebuildable);
}

void packed_target::device_may_have_changed() {
    std::scoped_lock const lock(m_mutex);
    m_rebuildable.assign(m_rebuildable.size(), false);
    for (piece_index piece{0}; piece.value() < m_image->piece_count(); ++piece) {
        auto const at = m_held.find(piece.value());
        m_supply->set_at_hand(piece, at != m_held.end() && at->second->now == held_piece::stage::complete);
    }
}

/// No piece can be rebuilt: withdraws those that are not complete in memory.
void packed_target::withdraw_evicted() {
    m_can_rebuild = false;
    std::set<std::int32_t> complete;
    for (auto const& held : m_complete) {
        complete.insert(held->number.value());
    }
    for (piece_index piece{0}; piece.value() < m_image->piece_count(); ++piece) {
        if (!complete.contains(piece.value())) {
            m_withdrawn->add(piece);
        }
    }
}

// --- reading

result<void, io_error> packed_target::read(std::int64_t offset, std::span<iovec const> memory) {
    if (auto checked = check_range(io_operation::read, offset, length_of(memory)); !checked) {
        return checked;
    }
    for (auto const& each : memory) {
        if (auto done = read(offset, std::span(static_cast<std::byte*>(each.iov_base), each.iov_len)); !done) {
            return done;
        }
        offset += static_cast<std::int64_t>(each.iov_len);
    }
    return {};
}

result<void, io_error> packed_target::read(std::int64_t offset, std::span<std::byte> buffer) {
    auto const length = static_cast<std::int64_t>(buffer.size());
    if (auto checked = check_range(io_operation::read, offset, length); !checked) {
        return checked;
    }
    return for_each_part(offset, length, [&](piece_part const& part) -> result<void, io_error> {
        auto const to = buffer.first(part.length);
        buffer = buffer.subspan(part.length);
        auto const held = find(part.piece);
        if (!held) {
            return tl::unexpected(held.error());
        }
        if (*held) {
            copy_out(**held, part, to);
        } else {
            std::ranges::fill(to, std::byte{});
        }
        return {};
    });
}

result<void, io_error> packed_target::read_medium(std::int64_t offset, std::span<std::byte> buffer) {
    auto const length = static_cast<std::int64_t>(buffer.size());
    if (auto checked = check_range(io_operation::read, offset, length); !checked) {
        return checked;
    }
    return for_each_part(offset, length, [&](piece_part const& part) -> result<void, io_error> {
        raw_buffer memory;
        auto const piece = memory.of_size(m_layout.piece_size(part.piece).value());
        auto const rebuilt = rebuild_to(part.piece, chunk_source::medium, piece);
        if (!rebuilt) {
            return tl::unexpected(rebuilt.error());
        }
        if (*rebuilt != rebuilt_piece::equal) {
            return tl::make_unexpected(withdrawn_failure(part.piece));
        }
        std::ranges::copy(piece.subspan(part.begin, part.length), buffer.begin());
        buffer = buffer.subspan(part.length);
        return {};
    });
}

/// The piece in memory, rebuilt if it was evicted; null if it has arrived with a wrong SHA-1.
result<packed_target::held_ptr, io_error> packed_target::find(piece_index piece) {
    held_ptr rebuilding;
    {
        std::unique_lock lock(m_mutex);
        for (auto at = m_held.find(piece.value()); at != m_held.end(); at = m_held.find(piece.value())) {
            auto held = at->second;
            if (held->now != held_piece::stage::rebuilding) {
                return held;
            }
            m_rebuilt.wait(lock, [&held] { return held->now != held_piece::stage::rebuilding; });
            if (held->now == held_piece::stage::complete) {
                return held; // even if it was evicted immediately
            }
        }
        if (m_wrong.contains(piece.value())) {
            return held_ptr();
        }
        if (m_withdrawn->contains(piece)) {
            return tl::make_unexpected(withdrawn_failure(piece));
        }
        rebuilding = make_held(piece);
        rebuilding->now = held_piece::stage::rebuilding;
    }
    return rebuild(piece, rebuilding);
}

result<packed_target::held_ptr, io_error> packed_target::rebuild(piece_index piece, held_ptr const& into) {
    auto const ended = [&](std::optional<rebuilt_piece> rebuilt) { // nothing: it is not known
        std::scoped_lock const lock(m_mutex);
        auto const equal = rebuilt == rebuilt_piece::equal;
        into->now = equal ? held_piece::stage::complete : held_piece::stage::arriving;
        if (equal) {
            m_complete.push_back(into);
            set_rebuildable(piece, true);
            let_go_oldest();
        } else {
            m_held_bytes -= static_cast<std::int64_t>(into->size);
            m_held.erase(piece.value());
            set_rebuildable(piece, false);
        }
        if (rebuilt == rebuilt_piece::other_bytes) {
            m_withdrawn->add(piece);
        } else if (rebuilt == rebuilt_piece::other_frames) {
            withdraw_evicted();
        }
        m_rebuilt.notify_all();
    };
    try {
        auto const rebuilt = rebuild_to(piece, chunk_source::device, into->bytes());
        ended(rebuilt ? std::optional(*rebuilt) : std::nullopt);
        if (!rebuilt) {
            return tl::unexpected(rebuilt.error());
        }
        if (*rebuilt != rebuilt_piece::equal) {
            return tl::make_unexpected(withdrawn_failure(piece));
        }
        return into;
    } catch (...) {
        ended(std::nullopt);
        throw;
    }
}

result<rebuilt_piece, io_error> packed_target::rebuild_to(piece_index piece, chunk_source from,
                                                          std::span<std::byte> bytes) {
    scratch_pool::loan const mine(*m_scratches);
    auto rebuilt = rebuild_piece(*m_image, piece, *m_device, m_options.placement, from, mine->packer, mine->raw, bytes);
    if (rebuilt) {
        m_bytes_read.fetch_add(unpacked_size(m_image->index.chunks_of(piece)), std::memory_order_relaxed);
    }
    return rebuilt;
}

void packed_target::copy_out(held_piece const& held, piece_part const& part, std::span<std::byte> to) {
    std::vector<bool> arrived; // empty: everything has
    {
        std::scoped_lock const lock(m_mutex);
        if (held.now == held_piece::stage::arriving) {
            arrived = held.arrived;
        }
    }
    if (arrived.empty()) {
        std::ranges::copy(held.bytes(part), to.begin());
        return;
    }
    for (std::size_t done = 0; done < part.length;) {
        auto const at = part.begin + done;
        auto const count = std::min<std::size_t>(block_size - at % block_size, part.length - done);
        if (arrived[at / block_size]) {
            std::ranges::copy(held.bytes().subspan(at, count), to.subspan(done).begin());
        } else {
            std::ranges::fill(to.subspan(done, count), std::byte{});
        }
        done += count;
    }
}

// --- verifying

result<std::optional<bool>, io_error> packed_target::matches(piece_index piece, std::atomic<bool> const& cancelled) {
    thread_local raw_buffer memory;
    auto const buffer = memory.of_size(packed_limits::chunk);
    auto const step = [&](std::int64_t bytes) {
        m_bytes_read.fetch_add(bytes, std::memory_order_relaxed);
        return !cancelled.load(std::memory_order_relaxed);
    };
    for (auto const& chunk : m_image->index.chunks_of(piece)) {
        auto const equal = chunk_is_on_medium(*m_device, m_options.placement, chunk, buffer, step);
        if (!equal) {
            return tl::unexpected(equal.error());
        }
        if (cancelled.load(std::memory_order_relaxed)) {
            return std::nullopt;
        }
        if (!*equal) {
            return false;
        }
    }
    return true;
}

std::vector<extent> packed_target::extents_of(piece_index piece) const {
    return joined_extents(m_image->index.chunks_of(piece), m_options.placement);
}

result<extent_map> packed_target::extents() const {
    return extent_map::make(joined_extents(m_image->index.chunks(), m_options.placement));
}

std::int64_t packed_target::held_bytes() const {
    std::scoped_lock const lock(m_mutex);
    return m_held_bytes;
}

} // namespace seedbed
