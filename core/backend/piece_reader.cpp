#include "core/backend/piece_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace seedbed {

namespace {

constexpr std::size_t buffer_size = std::size_t{piece_reader::most_blocks} * block_size;

constexpr std::align_val_t buffer_alignment{4096};

struct free_memory {
    void operator()(std::byte* memory) const noexcept { ::operator delete(memory, buffer_alignment); }
};

} // namespace

/// Reads a range of the stream into a buffer of its own.
class piece_reader::range_read final : public io_job {
public:
    range_read()
        : io_job(direction::read)
        , m_buffer(static_cast<std::byte*>(::operator new(buffer_size, buffer_alignment))) {}

    /// Throws std::bad_alloc, without having started.
    void start(image_io& io, torrent_offset begin, std::int64_t length) {
        clear();
        auto& image = io.image();
        set_position(image.on_device(begin));
        auto* memory = m_buffer.get();
        image.torrent().extents.for_each_slice(begin, length, [&](extent const& slice) {
            auto const size = static_cast<std::size_t>(slice.length);
            if (slice.device_offset == extent::padding) {
                std::fill_n(memory, size, std::byte{0});
            } else {
                add(slice.device_offset, memory, size);
            }
            memory += size;
        });
        image.count_read(length);
        io.queue().submit(this);
    }

    void end(result<void, io_error> const& ended) override {
        m_outcome = ended ? ended : result<void, io_error>(tl::unexpected(copy_of(ended.error())));
        m_done.release();
    }

    [[nodiscard]] std::binary_semaphore& done() noexcept { return m_done; }
    [[nodiscard]] result<void, io_error> take_outcome() noexcept { return std::exchange(m_outcome, {}); }
    [[nodiscard]] std::byte* data() const noexcept { return m_buffer.get(); }

private:
    std::unique_ptr<std::byte, free_memory> m_buffer;
    result<void, io_error> m_outcome;
    std::binary_semaphore m_done{0};
};

piece_reader::piece_reader() = default;
piece_reader::~piece_reader() = default;

void piece_reader::begin(image_io& io, piece_index piece, std::int32_t begin, std::int32_t end, bool keep,
                         std::int32_t ahead) noexcept {
    m_io = &io;
    m_piece = piece;
    m_begin = begin;
    m_end = end;
    m_awaited = 0;
    m_failed.reset();
    m_reading = false;
    try {
        if (keep) {
            begin_cached(ahead);
        } else {
            // The content of the device counts: only blocks that have not reached it are taken from memory.
            io.cache().drop_clean(io.number(), piece, begin, end);
            begin_private(begin);
        }
    } catch (std::bad_alloc const&) {
        std::scoped_lock const lock(m_mutex);
        auto const& image = io.image();
        m_failed = make_io_error(io_operation::read, image.device().path(),
                                 image.on_device(image.stream_offset(piece, begin * block_size)),
                                 std::int64_t{end - begin} * block_size, ENOMEM);
    }
}

void piece_reader::begin_cached(std::int32_t ahead) {
    for (auto number = m_begin; number < m_end; ++number) {
        auto const slot = static_cast<std::size_t>(number - m_begin);
        m_waiters[slot].sink = this;
        m_waiters[slot].share = memory_share::read; // it may have been read alone before
        switch (m_io->read_block(m_piece, number, m_begin, ahead, m_waiters[slot], m_refs[slot], false)) {
        case read_answer::there:
            break;
        case read_answer::later:
            ++m_awaited;
            break;
        case read_answer::no_memory:
            begin_private(number);
            return;
        }
    }
}

void piece_reader::begin_private(std::int32_t from) {
    auto& io = *m_io;
    auto const count = m_end - from;
    auto const refs = std::span(m_refs).subspan(static_cast<std::size_t>(from - m_begin));
    if (io.cache().collect(io.number(), m_piece, from, m_end, refs) == count) {
        return;
    }
    if (!m_read) {
        m_read = std::make_unique<range_read>();
    }
    auto const length = std::min(count * block_size, io.image().piece_size(m_piece) - from * block_size);
    m_read->start(io, io.image().stream_offset(m_piece, from * block_size), length);
    m_private_begin = from;
    m_reading = true;
}

result<void, io_error> piece_reader::end(device_wait& waits) noexcept {
    for (; m_awaited > 0; --m_awaited) {
        waits.wait_for(m_delivered);
    }
    for (std::int32_t slot = 0; slot < m_end - m_begin; ++slot) {
        auto& waiter = m_waiters[static_cast<std::size_t>(slot)];
        if (waiter.block) {
            m_refs[static_cast<std::size_t>(slot)] = std::exchange(waiter.block, {});
        }
    }
    result<void, io_error> outcome;
    if (std::exchange(m_reading, false)) {
        waits.wait_for(m_read->done());
        outcome = m_read->take_outcome();
    }
    std::scoped_lock const lock(m_mutex);
    if (m_failed) {
        outcome = tl::unexpected(copy_of(*m_failed));
    }
    return outcome;
}

std::span<std::byte const> piece_reader::block(std::int32_t number) const {
    if (auto const& ref = m_refs[static_cast<std::size_t>(number - m_begin)]) {
        return ref.bytes();
    }
    auto const slot = static_cast<std::size_t>(number - m_private_begin);
    return {m_read->data() + slot * static_cast<std::size_t>(block_size), static_cast<std::size_t>(block_size)};
}

void piece_reader::stop(device_wait& waits) noexcept {
    if (m_awaited > 0 || m_reading) {
        static_cast<void>(end(waits));
    }
    release();
}

void piece_reader::release() noexcept {
    for (std::int32_t slot = 0; slot < m_end - m_begin; ++slot) {
        m_refs[static_cast<std::size_t>(slot)] = {};
    }
}

void piece_reader::deliver(waiter_list waiters, io_error const* failed) noexcept {
    std::ptrdiff_t count = 0;
    for (auto const* waiter = waiters.first; waiter != nullptr; waiter = waiter->next) {
        ++count;
    }
    if (failed != nullptr) {
        std::scoped_lock const lock(m_mutex);
        m_failed = copy_of(*failed);
    }
    m_delivered.release(count);
}

} // namespace seedbed
