// disk_io: reads, writes and hashes.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <utility>

#include <libtorrent/file_storage.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/backend/disk_io_job.hpp"
#include "core/backend/piece_hasher.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// A block of the pool, or null where even the heap has none.
std::shared_ptr<pool_block> make_block(block_pool& pool) {
    try {
        return std::make_shared<pool_block>(pool);
    } catch (std::bad_alloc const&) {
        return nullptr;
    }
}

bool within_piece(image_storage const& image, lt::peer_request const& request) {
    auto const piece = static_cast<std::int32_t>(request.piece);
    return piece >= 0 && piece < image.torrent().piece_count && request.start >= 0 && request.length > 0 &&
           request.length <= block_size && request.length <= image.piece_size(piece) - request.start;
}

/// libtorrent writes whole blocks and no others; the order of writes relies on it.
bool is_whole_block(image_storage const& image, lt::peer_request const& request) {
    return within_piece(image, request) && request.start % block_size == 0 &&
           request.length ==
               std::min(block_size, image.piece_size(static_cast<std::int32_t>(request.piece)) - request.start);
}

/// Adds the microseconds of its life to a counter of libtorrent and to the sum of all jobs.
class timed {
public:
    timed(lt::counters& counters, int counter)
        : m_counters(counters)
        , m_counter(counter) {}
    timed(timed const&) = delete;
    timed& operator=(timed const&) = delete;
    ~timed() {
        auto const passed = std::chrono::steady_clock::now() - m_begin;
        auto const us = std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
        m_counters.inc_stats_counter(m_counter, us);
        m_counters.inc_stats_counter(lt::counters::disk_job_time, us);
    }

private:
    lt::counters& m_counters;
    int m_counter;
    std::chrono::steady_clock::time_point m_begin = std::chrono::steady_clock::now();
};

} // namespace

// --- reads

void disk_io::async_read(lt::storage_index_t index, lt::peer_request const& request,
                         std::function<void(lt::disk_buffer_holder, lt::storage_error const&)> handler,
                         lt::disk_job_flags_t) {
    auto what = make_job(index, job_kind::read);
    what->piece = static_cast<std::int32_t>(request.piece);
    what->offset = request.start;
    what->length = request.length;
    what->handler = [this, handler = std::move(handler)](job& done) {
        if (done.error) {
            handler(lt::disk_buffer_holder{}, done.error);
            return;
        }
        handler(lt::disk_buffer_holder(*m_backend, done.block->release(), done.length), done.error);
    };
    if (auto const& image = what->target->image; image && !within_piece(*image, request)) {
        what->fail(EINVAL, lt::operation_t::file_read);
    }
    post(std::move(what), &disk_io::start_read);
}

void disk_io::start_read(job_ptr what) {
    what->overlay = what->image().dirty().overlapping(what->stream_offset(), what->length);
    auto& queue = what->image().queue();
    hand_over(queue, std::move(what), &disk_io::run_read);
}

void disk_io::run_read(job_ptr what) {
    if (cancelled(*what)) {
        finish(std::move(what));
        return;
    }
    what->block = make_block(m_backend->pool());
    if (!what->block) {
        what->fail(ENOMEM, lt::operation_t::file_read);
        finish(std::move(what));
        return;
    }
    timed const time(m_counters, lt::counters::disk_read_time);
    auto const outcome = what->image().read(what->stream_offset(), what->buffer());
    if (outcome) {
        for (auto const& newer : what->overlay) {
            copy_overlap(newer, what->stream_offset(), what->buffer());
        }
        m_counters.inc_stats_counter(lt::counters::num_blocks_read);
        m_counters.inc_stats_counter(lt::counters::num_read_ops);
    } else {
        what->fail(outcome.error().code, lt::operation_t::file_read);
        what->image().report(outcome.error());
    }
    what->overlay.clear();
    finish(std::move(what));
}

// --- writes

bool disk_io::async_write(lt::storage_index_t index, lt::peer_request const& request, char const* buffer,
                          std::shared_ptr<lt::disk_observer> observer,
                          std::function<void(lt::storage_error const&)> handler, lt::disk_job_flags_t) {
    auto what = make_job(index, job_kind::write);
    what->piece = static_cast<std::int32_t>(request.piece);
    what->offset = request.start;
    what->length = request.length;
    what->handler = [handler = std::move(handler)](job& done) { handler(done.error); };
    if (auto const& image = what->target->image; image) {
        if (!is_whole_block(*image, request)) {
            what->fail(EINVAL, lt::operation_t::file_write);
        } else if (image->device().read_only()) {
            what->fail(EROFS, lt::operation_t::file_write);
        } else if (what->block = make_block(m_backend->pool()); what->block) {
            std::memcpy(what->block->data(), buffer, static_cast<std::size_t>(request.length));
        } else {
            what->fail(ENOMEM, lt::operation_t::file_write);
        }
    }
    if (!what->block) {
        what->length = 0; // takes no memory: neither counts here nor when it has ended
    }
    auto const pause = m_back_pressure.add(what->length, observer);
    post(std::move(what), &disk_io::start_write);
    return pause;
}

void disk_io::start_write(job_ptr what) {
    auto& image = what->image();
    enter_worker(); // before another worker can see it
    if (image.dirty().add({what->stream_offset(), what->length, what->block, what.get()})) {
        submit(image.queue(), std::move(what), &disk_io::run_write);
        return;
    }
    // An earlier write of this block is on its way; run_write() of that one takes this job over.
    static_cast<void>(what.release());
}

void disk_io::run_write(job_ptr what) {
    auto& image = what->image();
    auto const offset = what->stream_offset();
    {
        timed const time(m_counters, lt::counters::disk_write_time);
        auto const outcome = image.write(offset, what->buffer());
        if (outcome) {
            m_counters.inc_stats_counter(lt::counters::num_blocks_written);
            m_counters.inc_stats_counter(lt::counters::num_write_ops);
        } else {
            what->fail(outcome.error().code, lt::operation_t::file_write);
        }
    }
    auto next = image.dirty().finish(offset);
    what->block.reset();
    finish(std::move(what)); // before the next one starts, so that writes that wait for one another end in order
    if (next.memory) {
        start_next_write(std::move(next));
    }
}

void disk_io::start_next_write(dirty_block next) {
    next.memory.reset(); // the job has it, and gives it back before its handler runs
    auto waiting = job_ptr(static_cast<job*>(next.writer));
    auto& owner = *waiting->owner;
    auto& queue = waiting->image().queue();
    owner.submit(queue, std::move(waiting), &disk_io::run_write);
}

// --- hashes

void disk_io::async_hash(
    lt::storage_index_t index, lt::piece_index_t piece, lt::span<lt::sha256_hash> v2, lt::disk_job_flags_t flags,
    std::function<void(lt::piece_index_t, lt::sha1_hash const&, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::hash);
    what->piece = static_cast<std::int32_t>(piece);
    what->volatile_read = static_cast<bool>(flags & lt::disk_interface::volatile_read);
    what->v1 = static_cast<bool>(flags & lt::disk_interface::v1_hash);
    what->block_hashes = {v2.data(), static_cast<std::size_t>(v2.size())};
    what->handler = [piece, handler = std::move(handler)](job& done) { handler(piece, done.sha1, done.error); };
    if (auto const& image = what->target->image; image) {
        auto const& torrent = image->torrent();
        if (what->piece < 0 || what->piece >= torrent.piece_count) {
            what->fail(EINVAL, lt::operation_t::file_read);
        } else if (!v2.empty() && v2.size() < torrent.info->orig_files().blocks_in_piece2(piece)) {
            what->fail(EINVAL, lt::operation_t::file_read);
        }
    }
    post(std::move(what), &disk_io::start_hash);
}

void disk_io::start_hash(job_ptr what) {
    auto& image = what->image();
    what->overlay = image.dirty().overlapping(image.stream_offset(what->piece, 0), image.piece_size(what->piece));
    hand_over(m_backend->hash_workers(), std::move(what), &disk_io::run_hash);
}

void disk_io::run_hash(job_ptr what) {
    if (cancelled(*what)) {
        finish(std::move(what));
        return;
    }
    timed const time(m_counters, lt::counters::disk_hash_time);
    auto& image = what->image();
    piece_hash_request request;
    request.piece = what->piece;
    request.v1 = what->v1;
    request.block_hashes = what->block_hashes;
    if (!what->block_hashes.empty()) {
        request.v2_size = image.torrent().info->orig_files().piece_size2(lt::piece_index_t{what->piece});
    }
    request.overlay = std::move(what->overlay);
    auto const outcome = hash_piece(image, request, what->sha1);
    request.overlay.clear();
    if (outcome) {
        m_counters.inc_stats_counter(lt::counters::num_blocks_hashed,
                                     (image.piece_size(what->piece) + block_size - 1) / block_size);
        m_counters.inc_stats_counter(lt::counters::num_read_back);
    } else {
        what->fail(outcome.error().code, lt::operation_t::file_read);
        image.report(outcome.error());
    }
    finish(std::move(what));
}

void disk_io::async_hash2(
    lt::storage_index_t index, lt::piece_index_t piece, int offset, lt::disk_job_flags_t flags,
    std::function<void(lt::piece_index_t, lt::sha256_hash const&, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::hash);
    what->piece = static_cast<std::int32_t>(piece);
    what->offset = offset;
    what->volatile_read = static_cast<bool>(flags & lt::disk_interface::volatile_read);
    what->handler = [piece, handler = std::move(handler)](job& done) { handler(piece, done.sha256, done.error); };
    if (auto const& image = what->target->image; image) {
        auto const& torrent = image->torrent();
        if (what->piece < 0 || what->piece >= torrent.piece_count || offset < 0 || offset % block_size != 0 ||
            offset >= torrent.info->orig_files().piece_size2(piece)) {
            what->fail(EINVAL, lt::operation_t::file_read);
        } else {
            what->length = std::min(block_size, torrent.info->orig_files().piece_size2(piece) - offset);
        }
    }
    post(std::move(what), &disk_io::start_hash2);
}

void disk_io::start_hash2(job_ptr what) {
    what->overlay = what->image().dirty().overlapping(what->stream_offset(), what->length);
    hand_over(m_backend->hash_workers(), std::move(what), &disk_io::run_hash2);
}

void disk_io::run_hash2(job_ptr what) {
    if (cancelled(*what)) {
        finish(std::move(what));
        return;
    }
    timed const time(m_counters, lt::counters::disk_hash_time);
    auto const outcome = hash_block(what->image(), what->stream_offset(), what->length, what->overlay, what->sha256);
    what->overlay.clear();
    if (outcome) {
        m_counters.inc_stats_counter(lt::counters::num_blocks_hashed);
    } else {
        what->fail(outcome.error().code, lt::operation_t::file_read);
        what->image().report(outcome.error());
    }
    finish(std::move(what));
}

} // namespace seedbed
