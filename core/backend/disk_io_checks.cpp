// disk_io: reads that wait until their piece has been compared with the torrent.

#include <atomic>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include <libtorrent/torrent_info.hpp>

#include "core/backend/disk_io.hpp"
#include "core/image/piece_errors.hpp"

namespace seedbed {

namespace lt = libtorrent;

bool disk_io::may_read(job_ptr& what) {
    auto const target = what->target; // the job may wait below
    auto const piece = what->piece;
    try {
        switch (target->checks->look_up(piece)) {
        case read_checks::answer::pass:
            run_checks(target); // one more piece may be hashed ahead
            return true;
        case read_checks::answer::wait:
            if (what->stops != target->stops.load(std::memory_order_relaxed)) {
                what->abort(); // it has waited for a fence meanwhile
                finish(std::move(what));
                return false;
            }
            target->checks->hold(piece, *what);
            static_cast<void>(what.release()); // theirs since hold()
            break;
        case read_checks::answer::differs:
            what->fail(piece_differs, lt::operation_t::file_read);
            finish(std::move(what));
            break;
        }
    } catch (std::bad_alloc const&) { // not the image's failure: the next read begins the check again
        what->fail(ENOMEM, lt::operation_t::file_read);
        finish(std::move(what));
    }
    run_checks(target);
    return false;
}

/// libtorrent hashes a piece before it first reads it for a peer, and until it has the hash, it looks through the
/// peer's requests for the piece at each new request. It need not: no read ends before the piece has been compared.
void disk_io::promise_hash(job_ptr what) {
    auto const target = what->target;
    what->sha1 = target->image->torrent().info->hash_for_piece(lt::piece_index_t{what->piece.value()});
    try {
        target->checks->expect(what->piece);
    } catch (std::bad_alloc const&) { // it is hashed when it is read
    }
    finish(std::move(what));
    run_checks(target);
}

void disk_io::run_checks(storage_ptr const& target) {
    while (!m_aborted.load(std::memory_order_relaxed)) {
        std::optional<piece_index> piece;
        job_ptr check;
        try {
            piece = target->checks->next();
            if (!piece) {
                return;
            }
            check = make_job(target, job_kind::hash);
        } catch (std::bad_alloc const&) {
            if (!piece) {
                return; // one that is hashed ahead, which may begin later
            }
            auto held = target->checks->ended(*piece, read_checks::outcome::failed);
            while (!held.empty()) {
                auto read = job_ptr(static_cast<job*>(held.pop()));
                read->fail(ENOMEM, lt::operation_t::file_read);
                finish(std::move(read));
            }
            continue;
        }
        check->internal = true;
        check->piece = *piece;
        check->v1 = true;
        check->handler = [this](job& done) { end_check(done); };
        check->start = &disk_io::start_check;
        start_check(std::move(check));
    }
}

void disk_io::start_check(job_ptr what) {
    hand_over(std::move(what), &disk_io::run_hash);
}

void disk_io::end_check(job& done) {
    auto const& target = done.target;
    auto& image = *target->image;
    auto how = read_checks::outcome::failed;
    if (!done.error) {
        auto const good = done.sha1 == image.torrent().info->hash_for_piece(lt::piece_index_t{done.piece.value()});
        how = good ? read_checks::outcome::good : read_checks::outcome::differs;
    }
    auto held = target->checks->ended(done.piece, how);
    while (!held.empty()) {
        auto read = job_ptr(static_cast<job*>(held.pop()));
        if (how == read_checks::outcome::failed) {
            read->error = done.error;
            finish(std::move(read));
        } else {
            start_read(std::move(read));
        }
    }
    if (how == read_checks::outcome::differs) {
        image.report(make_io_error(io_operation::hash, image.device().path(),
                                   image.on_device(image.stream_offset(done.piece, 0)), image.piece_size(done.piece),
                                   piece_differs));
    }
    run_checks(target);
}

void disk_io::abort_waiting_for_checks(storage const* only) {
    for (auto const& each : m_storages) {
        if (each && each->checks && (only == nullptr || each.get() == only)) {
            abort_reads(each->checks->stop());
        }
    }
}

void disk_io::abort_reads(waiter_list reads) {
    while (!reads.empty()) {
        auto read = job_ptr(static_cast<job*>(reads.pop()));
        read->abort();
        finish(std::move(read));
    }
}

} // namespace seedbed
