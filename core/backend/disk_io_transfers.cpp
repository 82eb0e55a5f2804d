// disk_io: reads, writes and hashes.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include <libtorrent/file_storage.hpp>
#include <libtorrent/peer_request.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/backend/disk_io.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

bool within_piece(served_image const& image, lt::peer_request const& request) {
    piece_index const piece{static_cast<std::int32_t>(request.piece)};
    return piece.value() >= 0 && piece.value() < image.torrent().piece_count && request.start >= 0 &&
           request.length > 0 && request.length <= block_size &&
           request.length <= image.piece_size(piece) - request.start;
}

/// The bytes of the stream in the block that \p request writes, padding included; 0 if it is not a whole block.
/// libtorrent writes whole blocks only, and the cache relies on it. But the last block of a v2 torrent's file may come
/// without its padding.
std::int32_t whole_block(served_image const& image, lt::peer_request const& request) {
    if (!within_piece(image, request) || request.start % block_size != 0) {
        return 0;
    }
    auto const whole =
        std::min(block_size, image.piece_size(piece_index{static_cast<std::int32_t>(request.piece)}) - request.start);
    auto const& torrent = image.torrent();
    auto const short_of_padding =
        torrent.info->info_hashes().has_v2() &&
        request.length == torrent.info->orig_files().piece_size2(request.piece) - request.start;
    return request.length == whole || short_of_padding ? whole : 0;
}

/// Whether a packed target has computed this when the piece arrived.
bool is_hash_of_arrival(served_image const& image, bool v1, bool keep, bool v2) {
    return image.packed() != nullptr && v1 && keep && !v2;
}

/// Hashes a piece, unless its target has done so, or it has already been verified for another session.
result<void, io_error> hash_of(served_image& image, piece_hash_request const& request, lt::sha1_hash& sha1) {
    if (is_hash_of_arrival(image, request.v1, request.keep, !request.block_hashes.empty())) {
        if (auto const known = image.packed()->take_sha1(request.piece)) {
            sha1 = lt::sha1_hash(known->data());
            return {};
        }
    }
    // A full check reads the device each time.
    if (!image.device().read_only() || !request.v1 || !request.keep || !request.block_hashes.empty()) {
        return image.hasher().hash(request, sha1);
    }
    auto const wanted = image.torrent().info->hash_for_piece(lt::piece_index_t{request.piece.value()});
    verified_pieces::turn turn(image.verified(), request.piece);
    if (turn.known_good()) {
        sha1 = wanted;
        return {};
    }
    auto outcome = image.hasher().hash(request, sha1);
    if (outcome && sha1 == wanted) {
        turn.set_good();
    }
    return outcome;
}

/// Adds its lifetime in microseconds to one of libtorrent's counters and to the sum of all jobs.
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
    what->piece = piece_index{static_cast<std::int32_t>(request.piece)};
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
    if (what->target->checks && !may_read(what)) {
        return;
    }
    // New reads must not overtake those that wait for memory.
    auto const share = m_backend->waiting_for_memory().waiting() ? memory_share::nothing : memory_share::read;
    what->flight = m_in_flight.begin();
    switch (continue_read(what, share)) {
    case read_answer::there:
        what->flight.end_on_owner();
        finish_read(std::move(what));
        break;
    case read_answer::later:
        break;
    case read_answer::no_memory:
        wait_for_memory(std::move(what));
        break;
    }
}

read_answer disk_io::continue_read(job_ptr& what, memory_share share) {
    auto const keep = what->target; // the image must outlive this call; the job need not
    if (what->spans_two() && !what->memory) {
        // A peer gets one memory block with its part of both blocks, and keeps that, so it is allocated first.
        if (share != memory_share::nothing) {
            what->memory = m_backend->cache().allocate_block(share);
        }
        if (!what->memory) {
            return read_answer::no_memory;
        }
    }
    // The two blocks are only copied into it: they must get memory even if other reads wait.
    what->share = what->memory ? memory_share::passing : share;
    for (;;) {
        auto const block = what->copied == 0 ? what->first_block() : what->last_block();
        auto const piece = what->piece;
        auto& io = what->image().io();
        auto* const waiter = what.release(); // the cache may own it, and pass it to deliver() at any moment
        block_ref found;
        auto const answer = io.read_block(piece, block, *waiter, found);
        if (answer == read_answer::later) {
            return answer;
        }
        what.reset(waiter);
        if (answer == read_answer::no_memory) {
            return answer;
        }
        what->block = std::move(found);
        if (take_block(*what)) {
            return answer;
        }
    }
}

bool disk_io::take_block(job& what) {
    if (!what.memory) {
        what.memory = std::move(what.block);
        return true;
    }
    auto const within = what.copied == 0 ? what.offset % block_size : 0;
    auto const count = std::min(block_size - within, what.length - what.copied);
    std::memcpy(what.memory.data() + what.copied, what.block.data() + within, static_cast<std::size_t>(count));
    what.block = {};
    what.copied += count;
    if (what.copied < what.length) {
        return false;
    }
    what.offset = 0; // relative to the memory that is handed out
    return true;
}

void disk_io::wait_for_memory(job_ptr what) {
    m_backend->waiting_for_memory().wait(*what.release());
}

bool disk_io::try_again(io_waiter& waiter) {
    auto what = job_ptr(static_cast<job*>(&waiter));
    if (what->kind == job_kind::hash) {
        auto const start = what->start;
        (this->*start)(std::move(what));
        return true;
    }
    if (cancelled(*what) || what->stops != what->target->stops.load(std::memory_order_relaxed)) {
        what->abort();
        finish(std::move(what));
        return true;
    }
    switch (continue_read(what, memory_share::read)) {
    case read_answer::there:
        finish_read(std::move(what));
        break;
    case read_answer::later:
        break;
    case read_answer::no_memory:
        static_cast<void>(what.release()); // still the queue's
        return false;
    }
    return true;
}

void disk_io::abort_waiting_for_memory(storage const* only) {
    if (!m_backend->waiting_for_memory().waiting()) {
        return;
    }
    auto taken = m_backend->waiting_for_memory().take(*this, [only](io_waiter const& waiter) {
        return only == nullptr || static_cast<job const&>(waiter).target.get() == only;
    });
    in_flight_count::token flight; // of all jobs; ends last
    for (auto* waiter = taken.first; waiter != nullptr; waiter = waiter->next) {
        auto& aborted = *static_cast<job*>(waiter);
        aborted.abort();
        flight.join(std::move(aborted.flight));
    }
    m_completions.push(taken);
}

void disk_io::finish_read(job_ptr what) {
    m_counters.inc_stats_counter(lt::counters::num_blocks_read);
    m_counters.inc_stats_counter(lt::counters::num_read_ops);
    finish(std::move(what));
}

void disk_io::deliver(waiter_list jobs, io_error const* failed) {
    in_flight_count::token flight; // of all jobs; ends last, since this object may be gone then
    waiter_list ended;
    std::int64_t written = 0;
    while (!jobs.empty()) {
        auto what = job_ptr(static_cast<job*>(jobs.pop()));
        if (failed != nullptr) {
            what->fail(failed->code,
                       what->kind == job_kind::read ? lt::operation_t::file_read : lt::operation_t::file_write);
        } else if (what->kind == job_kind::read) {
            if (!take_block(*what)) {
                flight.join(m_in_flight.begin()); // this call's own: the job takes its token along
                auto const answer = continue_read(what, memory_share::passing);
                if (answer == read_answer::later) {
                    continue;
                }
                if (answer == read_answer::no_memory) {
                    wait_for_memory(std::move(what));
                    continue;
                }
            }
            m_counters.inc_stats_counter(lt::counters::num_blocks_read);
            m_counters.inc_stats_counter(lt::counters::num_read_ops);
        } else {
            m_counters.inc_stats_counter(lt::counters::num_blocks_written);
            ++written;
        }
        flight.join(std::move(what->flight));
        ended.push(what.release());
    }
    if (written > 0) {
        m_counters.inc_stats_counter(lt::counters::num_write_ops); // those of one run arrive together
    }
    m_completions.push(ended);
}

// --- writes

bool disk_io::async_write(lt::storage_index_t index, lt::peer_request const& request, char const* buffer,
                          std::shared_ptr<lt::disk_observer> observer,
                          std::function<void(lt::storage_error const&)> handler, lt::disk_job_flags_t) {
    auto what = make_job(index, job_kind::write);
    what->piece = piece_index{static_cast<std::int32_t>(request.piece)};
    what->offset = request.start;
    what->length = request.length;
    what->write_handler = std::move(handler);
    if (auto const& image = what->target->image; image) {
        auto const length = whole_block(*image, request);
        if (length == 0) {
            what->fail(EINVAL, lt::operation_t::file_write);
        } else if (image->device().read_only()) {
            what->fail(EROFS, lt::operation_t::file_write);
        } else if (what->memory = m_backend->cache().allocate_for_write(); what->memory) {
            std::memcpy(what->memory.data(), buffer, static_cast<std::size_t>(request.length));
            std::fill_n(what->memory.data() + request.length, length - request.length, char{0});
            what->length = length;
        } else {
            what->fail(ENOMEM, lt::operation_t::file_write);
        }
    }
    if (!what->memory) {
        what->length = 0; // it holds no memory
    }
    if (m_pool_blocks != m_backend->pool().capacity()) {
        settings_updated();
    }
    auto const target = what->target;
    if (target->pressure.bytes() == 0) {
        target->drain.begin(drain_meter::clock::now());
    }
    target->pressure.set_high_watermark(most_queued(*target));
    // Only one of the two keeps the observer, so that it is called once.
    auto const of_torrent = target->pressure.add(what->length, observer);
    auto const of_session = m_back_pressure.add(what->length, of_torrent ? nullptr : observer,
                                                what->memory && m_backend->cache().overdrawn());
    post(std::move(what), &disk_io::start_write);
    // Memory is short: blocks must not wait for neighbours now.
    if (of_session && !std::exchange(m_pressed, true)) {
        m_backend->expedite();
    } else if (of_torrent && !std::exchange(target->pressed, true) && target->image) {
        target->image->io().expedite();
    }
    return of_torrent || of_session;
}

void disk_io::start_write(job_ptr what) {
    auto const keep = what->target; // the job belongs to others below
    auto& image = *keep->image;
    if (std::exchange(keep->stopped, false)) {
        image.retry_writes();
    }
    auto const piece = what->piece;
    auto const block = what->first_block();
    auto const length = what->length;
    auto memory = std::move(what->memory);
    what->flight = m_in_flight.begin();
    if (image.packed() != nullptr) {
        image.packed()->expect_sha1(piece);
    }
    image.io().write_block(piece, block, std::move(memory), length, *what.release());
    image.hasher().ahead().block_written(piece, block);
    if (m_aborted.load(std::memory_order_relaxed)) {
        image.io().expedite(); // the job was behind a fence, and the session waits for it
    }
}

// --- hashes

void disk_io::async_hash(
    lt::storage_index_t index, lt::piece_index_t piece, lt::span<lt::sha256_hash> v2, lt::disk_job_flags_t flags,
    std::function<void(lt::piece_index_t, lt::sha1_hash const&, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::hash);
    what->piece = piece_index{static_cast<std::int32_t>(piece)};
    what->volatile_read = static_cast<bool>(flags & lt::disk_interface::volatile_read);
    what->v1 = static_cast<bool>(flags & lt::disk_interface::v1_hash);
    what->block_hashes = {v2.data(), static_cast<std::size_t>(v2.size())};
    what->handler = [piece, handler = std::move(handler)](job& done) { handler(piece, done.sha1, done.error); };
    if (auto const& image = what->target->image; image) {
        auto const& torrent = image->torrent();
        if (what->piece.value() < 0 || what->piece.value() >= torrent.piece_count ||
            (!v2.empty() && v2.size() < torrent.info->orig_files().blocks_in_piece2(piece))) {
            what->fail(EINVAL, lt::operation_t::file_read);
        }
    }
    post(std::move(what), &disk_io::start_hash);
}

void disk_io::start_hash(job_ptr what) {
    if (what->target->checks && what->v1 && !what->volatile_read && what->block_hashes.empty()) {
        promise_hash(std::move(what));
    } else if (is_hash_of_arrival(what->image(), what->v1, !what->volatile_read, !what->block_hashes.empty())) {
        hash_after_target(std::move(what));
    } else {
        hand_over(std::move(what), &disk_io::run_hash);
    }
}

/// Waits until the target has hashed the piece, or cannot do so any more because all writes so far have ended.
void disk_io::hash_after_target(job_ptr what) {
    std::shared_ptr<std::atomic<bool>> taken;
    try {
        taken = std::make_shared<std::atomic<bool>>(false);
    } catch (std::bad_alloc const&) {
        hand_over(std::move(what), &disk_io::run_hash);
        return;
    }
    auto const keep = what->target; // the job belongs to others below
    auto const piece = what->piece;
    what->flight = m_in_flight.begin();
    auto const run = [this, taken, waits = what.release()] {
        if (!taken->exchange(true)) {
            hand_over(job_ptr(waits), &disk_io::run_hash);
        }
    };
    try {
        keep->image->packed()->when_sha1(piece, run);
        keep->image->io().when_written(run);
    } catch (std::bad_alloc const&) {
        run();
    }
}

void disk_io::run_hash(job_ptr what) {
    run_on_worker(std::move(what), &disk_io::hash);
}

void disk_io::hash(job& what) {
    auto& image = what.image();
    piece_hash_request request;
    request.piece = what.piece;
    request.v1 = what.v1;
    request.block_hashes = what.block_hashes;
    request.keep = !what.volatile_read;
    request.cancelled = [this, &what] { return cancelled(what); };
    if (!what.block_hashes.empty()) {
        request.v2_size = image.torrent().info->orig_files().piece_size2(lt::piece_index_t{what.piece.value()});
    }
    auto const outcome = hash_of(image, request, what.sha1);
    if (what.error) {
        return; // it was cancelled
    }
    if (outcome) {
        m_counters.inc_stats_counter(lt::counters::num_blocks_hashed, image.blocks_in_piece(what.piece));
        return;
    }
    what.fail(outcome.error().code, lt::operation_t::file_read);
    if (!what.internal || outcome.error().code != ENOMEM) { // see fail_for_memory()
        image.report(outcome.error());
    }
}

void disk_io::run_on_worker(job_ptr what, void (disk_io::*run)(job&)) {
    if (!cancelled(*what)) {
        auto& waits = what->image().hasher().waits();
        auto* const waiter = what.release();
        if (waits.park(*waiter)) {
            return;
        }
        what.reset(waiter);
        timed const time(m_counters, lt::counters::disk_hash_time);
        try {
            (this->*run)(*what);
        } catch (std::bad_alloc const&) {
            fail_for_memory(*what);
        }
    }
    finish(std::move(what));
}

void disk_io::fail_for_memory(job& what) {
    auto& image = what.image();
    what.fail(ENOMEM, lt::operation_t::file_read);
    if (what.internal) {
        return; // the next read begins the check again
    }
    image.report(make_io_error(io_operation::hash, image.device().path(),
                               image.on_device(image.stream_offset(what.piece, 0)), image.piece_size(what.piece),
                               ENOMEM));
}

void disk_io::async_hash2(
    lt::storage_index_t index, lt::piece_index_t piece, int offset, lt::disk_job_flags_t flags,
    std::function<void(lt::piece_index_t, lt::sha256_hash const&, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::hash);
    what->piece = piece_index{static_cast<std::int32_t>(piece)};
    what->offset = offset;
    what->volatile_read = static_cast<bool>(flags & lt::disk_interface::volatile_read);
    what->handler = [piece, handler = std::move(handler)](job& done) { handler(piece, done.sha256, done.error); };
    if (auto const& image = what->target->image; image) {
        auto const& torrent = image->torrent();
        if (what->piece.value() < 0 || what->piece.value() >= torrent.piece_count || offset < 0 ||
            offset % block_size != 0 || offset >= torrent.info->orig_files().piece_size2(piece)) {
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
    run_on_worker(std::move(what), &disk_io::hash_block);
}

void disk_io::hash_block(job& what) {
    auto const outcome = what.image().hasher().hash_block(what.piece, what.first_block(), what.length, what.sha256);
    if (outcome) {
        m_counters.inc_stats_counter(lt::counters::num_blocks_hashed);
        return;
    }
    what.fail(outcome.error().code, lt::operation_t::file_read);
    what.image().report(outcome.error());
}

} // namespace seedbed
