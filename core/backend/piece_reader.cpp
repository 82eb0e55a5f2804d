#include "core/backend/piece_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace seedbed {

namespace {

constexpr std::size_t buffer_size = std::size_t{piece_reader::most_blocks} * block_size;

struct free_memory {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
};

} // namespace

/// Reads a range of the stream into a buffer of its own.
class piece_reader::range_read final : public io_job {
public:
    range_read()
        : io_job(direction::read)
        , m_buffer(static_cast<std::byte*>(std::aligned_alloc(4096, buffer_size))) {
        if (!m_buffer) {
            throw std::bad_alloc();
        }
    }

    void start(image_storage& image, std::int64_t stream_offset, std::int64_t length) {
        clear();
        set_position(image.device_offset(stream_offset));
        auto* memory = m_buffer.get();
        image.torrent().extents.for_each_slice(stream_offset, length, [&](extent const& slice) {
            auto const size = static_cast<std::size_t>(slice.length);
            if (slice.device_offset == extent::padding) {
                std::fill_n(memory, size, std::byte{0});
            } else {
                add(slice.device_offset, memory, size);
            }
            memory += size;
        });
        image.count_read(length);
        image.io().queue().submit(this);
    }

    void end(result<void, io_error> const& ended) override {
        m_outcome = ended;
        m_done.release();
    }

    [[nodiscard]] result<void, io_error> wait() {
        m_done.acquire();
        return m_outcome;
    }
    [[nodiscard]] std::byte* data() const noexcept { return m_buffer.get(); }

private:
    std::unique_ptr<std::byte, free_memory> m_buffer;
    result<void, io_error> m_outcome;
    std::binary_semaphore m_done{0};
};

piece_reader::piece_reader() = default;
piece_reader::~piece_reader() = default;

void piece_reader::begin(image_storage& image, std::int32_t piece, std::int32_t begin, std::int32_t end, bool keep,
                         std::int32_t ahead) {
    m_image = &image;
    m_piece = piece;
    m_begin = begin;
    m_end = end;
    m_awaited = 0;
    m_failed.reset();
    m_reading = false;
    if (keep) {
        begin_cached(ahead);
    } else {
        begin_private();
    }
}

void piece_reader::begin_cached(std::int32_t ahead) {
    for (auto number = m_begin; number < m_end; ++number) {
        auto const slot = static_cast<std::size_t>(number - m_begin);
        m_waiters[slot].sink = this;
        if (!m_image->io().read_block(m_piece, number, m_begin, ahead, m_waiters[slot], m_refs[slot], false)) {
            ++m_awaited;
        }
    }
}

void piece_reader::begin_private() {
    auto& io = m_image->io();
    auto const count = m_end - m_begin;
    if (io.cache().collect(io.number(), m_piece, m_begin, m_end, m_refs) == count) {
        return;
    }
    if (!m_read) {
        m_read = std::make_unique<range_read>();
    }
    m_reading = true;
    auto const length = std::min(count * block_size, m_image->piece_size(m_piece) - m_begin * block_size);
    m_read->start(*m_image, m_image->stream_offset(m_piece, m_begin * block_size), length);
}

result<void, io_error> piece_reader::end() {
    for (; m_awaited > 0; --m_awaited) {
        m_delivered.acquire();
    }
    for (std::int32_t slot = 0; slot < m_end - m_begin; ++slot) {
        auto& waiter = m_waiters[static_cast<std::size_t>(slot)];
        if (waiter.block) {
            m_refs[static_cast<std::size_t>(slot)] = std::exchange(waiter.block, {});
        }
    }
    if (m_reading) {
        return m_read->wait();
    }
    std::scoped_lock const lock(m_mutex);
    return m_failed ? result<void, io_error>(tl::unexpected(*m_failed)) : result<void, io_error>{};
}

std::span<std::byte const> piece_reader::block(std::int32_t number) const {
    auto const slot = static_cast<std::size_t>(number - m_begin);
    if (m_refs[slot]) {
        return m_refs[slot].bytes();
    }
    return {m_read->data() + slot * static_cast<std::size_t>(block_size), static_cast<std::size_t>(block_size)};
}

void piece_reader::release() {
    for (std::int32_t slot = 0; slot < m_end - m_begin; ++slot) {
        m_refs[static_cast<std::size_t>(slot)] = {};
    }
}

void piece_reader::deliver(waiter_list waiters, io_error const* failed) {
    std::ptrdiff_t count = 0;
    for (auto const* waiter = waiters.first; waiter != nullptr; waiter = waiter->next) {
        ++count;
    }
    if (failed != nullptr) {
        std::scoped_lock const lock(m_mutex);
        m_failed = *failed;
    }
    m_delivered.release(count);
}

} // namespace seedbed
