// disk_io: reads, writes and hashes.

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
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

bool within_piece(image_storage const& image, lt::peer_request const& request) {
    auto const piece = static_cast<std::int32_t>(request.piece);
    return piece >= 0 && piece < image.torrent().piece_count && request.start >= 0 && request.length > 0 &&
           request.length <= block_size && request.length <= image.piece_size(piece) - request.start;
}

/// libtorrent writes whole blocks and no others; the cache relies on it.
bool is_whole_block(image_storage const& image, lt::peer_request const& request) {
    return within_piece(image, request) && request.start % block_size == 0 &&
           request.length ==
               std::min(block_size, image.piece_size(static_cast<std::int32_t>(request.piece)) - request.start);
}

/// Hashes a piece, unless that was done for another session already.
result<void, io_error> hash_of(image_storage& image, piece_hash_request const& request, lt::sha1_hash& sha1) {
    // A full check asks the device each time.
    if (!image.device().read_only() || !request.v1 || !request.keep || !request.block_hashes.empty()) {
        return image.hasher().hash(request, sha1);
    }
    auto const wanted = image.torrent().info->hash_for_piece(lt::piece_index_t{request.piece});
    if (image.hashed().begin(request.piece)) {
        sha1 = wanted;
        return {};
    }
    auto outcome = image.hasher().hash(request, sha1);
    image.hashed().end(request.piece, outcome && sha1 == wanted);
    return outcome;
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
    what->read_handler = std::move(handler);
    if (auto const& image = what->target->image; image && !within_piece(*image, request)) {
        what->fail(EINVAL, lt::operation_t::file_read);
    }
    post(std::move(what), &disk_io::start_read);
}

void disk_io::start_read(job_ptr what) {
    if (cancelled(*what)) {
        finish(std::move(what));
        return;
    }
    auto const block = what->first_block();
    auto const piece = what->piece;
    auto& io = what->image().io();
    auto* const waiter = what.release(); // the cache may have it, and hand it to deliver() at any moment
    if (block_ref found; io.read_block(piece, block, *waiter, found)) {
        waiter->block = std::move(found);
        continue_read(job_ptr(waiter));
    } else {
        // Perhaps it is back already: the count is right all the same, and nobody looks at it before this thread is
        // done.
        m_away.fetch_add(1, std::memory_order_relaxed);
    }
}

void disk_io::continue_read(job_ptr what) {
    if (what->first_block() == what->last_block()) {
        what->memory = std::move(what->block);
        finish_read(std::move(what));
        return;
    }
    if (!what->head) {
        // The second block. It is away until deliver() has it, or is found at once.
        what->head = std::move(what->block);
        m_away.fetch_add(1, std::memory_order_relaxed);
        auto const block = what->last_block();
        auto const piece = what->piece;
        auto& io = what->image().io();
        auto* const waiter = what.release();
        block_ref found;
        if (!io.read_block(piece, block, *waiter, found)) {
            return;
        }
        what.reset(waiter);
        what->block = std::move(found);
        static_cast<void>(m_away.fetch_sub(1, std::memory_order_relaxed)); // the caller's is left
    }
    // What a peer wants of two blocks lies in one piece of memory.
    what->memory = m_backend->cache().allocate_for_write();
    if (!what->memory) {
        what->fail(ENOMEM, lt::operation_t::file_read);
        finish(std::move(what));
        return;
    }
    auto const within = what->offset % block_size;
    auto const first = block_size - within;
    std::memcpy(what->memory.data(), what->head.data() + within, static_cast<std::size_t>(first));
    std::memcpy(what->memory.data() + first, what->block.data(), static_cast<std::size_t>(what->length - first));
    what->offset = 0; // of what is handed out
    finish_read(std::move(what));
}

void disk_io::finish_read(job_ptr what) {
    m_counters.inc_stats_counter(lt::counters::num_blocks_read);
    m_counters.inc_stats_counter(lt::counters::num_read_ops);
    finish(std::move(what));
}

void disk_io::deliver(waiter_list jobs, io_error const* failed) {
    waiter_list ended;
    std::int64_t count = 0;
    std::int64_t written = 0;
    while (!jobs.empty()) {
        auto what = job_ptr(static_cast<job*>(jobs.pop()));
        ++count;
        if (failed != nullptr) {
            what->fail(failed->code,
                       what->kind == job_kind::read ? lt::operation_t::file_read : lt::operation_t::file_write);
            ended.push(what.release());
        } else if (what->kind == job_kind::read) {
            if (what->first_block() != what->last_block()) {
                continue_read(std::move(what));
                continue;
            }
            what->memory = std::move(what->block);
            m_counters.inc_stats_counter(lt::counters::num_blocks_read);
            m_counters.inc_stats_counter(lt::counters::num_read_ops);
            ended.push(what.release());
        } else {
            m_counters.inc_stats_counter(lt::counters::num_blocks_written);
            ++written;
            ended.push(what.release());
        }
    }
    if (written > 0) {
        m_counters.inc_stats_counter(lt::counters::num_write_ops); // those of one run come together
    }
    m_completions.push(ended);
    came_back(count);
}

// --- writes

bool disk_io::async_write(lt::storage_index_t index, lt::peer_request const& request, char const* buffer,
                          std::shared_ptr<lt::disk_observer> observer,
                          std::function<void(lt::storage_error const&)> handler, lt::disk_job_flags_t) {
    auto what = make_job(index, job_kind::write);
    what->piece = static_cast<std::int32_t>(request.piece);
    what->offset = request.start;
    what->length = request.length;
    what->write_handler = std::move(handler);
    if (auto const& image = what->target->image; image) {
        if (!is_whole_block(*image, request)) {
            what->fail(EINVAL, lt::operation_t::file_write);
        } else if (image->device().read_only()) {
            what->fail(EROFS, lt::operation_t::file_write);
        } else if (what->memory = m_backend->cache().allocate_for_write(); what->memory) {
            std::memcpy(what->memory.data(), buffer, static_cast<std::size_t>(request.length));
        } else {
            what->fail(ENOMEM, lt::operation_t::file_write);
        }
    }
    if (!what->memory) {
        what->length = 0; // it weighs nothing
    }
    if (m_pool_blocks != m_backend->pool().capacity()) {
        settings_updated();
    }
    if (m_back_pressure.bytes() == 0) {
        m_drain.begin(drain_meter::clock::now());
    }
    auto const pause = m_back_pressure.add(what->length, observer);
    post(std::move(what), &disk_io::start_write);
    if (pause && !std::exchange(m_pressed, true)) {
        m_backend->expedite(); // memory runs short: nothing waits for neighbours now
    }
    return pause;
}

void disk_io::start_write(job_ptr what) {
    auto const keep = what->target; // the job is out of our hands below
    auto& image = *keep->image;
    auto const piece = what->piece;
    auto const block = what->first_block();
    auto const length = what->length;
    auto memory = std::move(what->memory);
    m_away.fetch_add(1, std::memory_order_relaxed);
    image.io().write_block(piece, block, std::move(memory), length, *what.release());
    image.hasher().block_written(piece, block);
    if (m_aborted.load(std::memory_order_relaxed)) {
        image.io().expedite(); // it was behind a fence; the session waits for it
    }
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
    hand_over(std::move(what), &disk_io::run_hash);
}

void disk_io::run_hash(job_ptr what) {
    if (!cancelled(*what)) {
        timed const time(m_counters, lt::counters::disk_hash_time);
        auto& image = what->image();
        piece_hash_request request;
        request.piece = what->piece;
        request.v1 = what->v1;
        request.block_hashes = what->block_hashes;
        request.keep = !what->volatile_read;
        request.cancelled = [this, &what] { return cancelled(*what); };
        if (!what->block_hashes.empty()) {
            request.v2_size = image.torrent().info->orig_files().piece_size2(lt::piece_index_t{what->piece});
        }
        auto const outcome = hash_of(image, request, what->sha1);
        if (what->error) {
            // it was cancelled
        } else if (outcome) {
            m_counters.inc_stats_counter(lt::counters::num_blocks_hashed, image.io().blocks_in_piece(what->piece));
        } else {
            what->fail(outcome.error().code, lt::operation_t::file_read);
            image.report(outcome.error());
        }
    }
    finish(std::move(what));
    came_back(1);
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
    hand_over(std::move(what), &disk_io::run_hash2);
}

void disk_io::run_hash2(job_ptr what) {
    if (!cancelled(*what)) {
        timed const time(m_counters, lt::counters::disk_hash_time);
        auto const outcome =
            what->image().hasher().hash_block(what->piece, what->first_block(), what->length, what->sha256);
        if (outcome) {
            m_counters.inc_stats_counter(lt::counters::num_blocks_hashed);
        } else {
            what->fail(outcome.error().code, lt::operation_t::file_read);
            what->image().report(outcome.error());
        }
    }
    finish(std::move(what));
    came_back(1);
}

} // namespace seedbed
