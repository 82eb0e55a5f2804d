// disk_io: operations that run alone on their storage.

#include <cerrno>
#include <utility>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/operations.hpp>

#include "core/backend/disk_io.hpp"
#include "core/backend/libtorrent_disk.hpp"

namespace seedbed {

namespace lt = libtorrent;

void disk_io::async_move_storage(
    lt::storage_index_t index, std::string path, lt::move_flags_t,
    std::function<void(lt::status_t, std::string const&, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::fence);
    what->fail(EOPNOTSUPP, lt::operation_t::file_rename);
    what->handler = [path = std::move(path), handler = std::move(handler)](job& done) {
        handler(disk_has_failed, path, done.error);
    };
    post_fence(std::move(what));
}

void disk_io::async_release_files(lt::storage_index_t index, std::function<void()> handler) {
    auto what = make_job(index, job_kind::fence);
    // The device stays open: it belongs to the backend. libtorrent may pass no handler.
    what->handler = [handler = std::move(handler)](job&) {
        if (handler) {
            handler();
        }
    };
    post_fence(std::move(what));
}

void disk_io::async_check_files(lt::storage_index_t index, lt::add_torrent_params const* resume_data,
                                lt::aux::vector<std::string, lt::file_index_t>,
                                std::function<void(lt::status_t, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::fence);
    // Read it now: libtorrent's pointer is valid only during this call. A torrent that is added as a seed or with a
    // bitfield is trusted; otherwise the device is read.
    auto const trusted =
        resume_data != nullptr &&
        (static_cast<bool>(resume_data->flags & lt::torrent_flags::seed_mode) || !resume_data->have_pieces.empty());
    if (!what->target->image) {
        what->fail(ENODEV, lt::operation_t::file_open);
    }
    what->handler = [trusted, handler = std::move(handler)](job& done) {
        auto const status = trusted ? disk_is_good : disk_needs_check;
        handler(done.error ? disk_has_failed : status, done.error);
    };
    post_fence(std::move(what));
}

void disk_io::async_stop_torrent(lt::storage_index_t index, std::function<void()> handler) {
    auto what = make_job(index, job_kind::fence);
    what->target->stops.fetch_add(1, std::memory_order_relaxed);
    abort_waiting_for_memory(what->target.get()); // the memory may be in use for another torrent's peers
    abort_waiting_for_checks(what->target.get());
    what->start = &disk_io::start_stop;
    what->handler = [handler = std::move(handler)](job&) {
        if (handler) {
            handler();
        }
    };
    post_fence(std::move(what));
}

void disk_io::start_stop(job_ptr what) {
    what->target->stopped = true; // all its writes have ended
    finish(std::move(what));
}

void disk_io::async_rename_file(
    lt::storage_index_t index, lt::file_index_t file, std::string name,
    std::function<void(std::string const&, lt::file_index_t, lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::fence);
    what->fail(EOPNOTSUPP, lt::operation_t::file_rename);
    what->error.file(file);
    what->handler = [name = std::move(name), file, handler = std::move(handler)](job& done) {
        handler(name, file, done.error);
    };
    post_fence(std::move(what));
}

void disk_io::async_delete_files(lt::storage_index_t index, lt::remove_flags_t,
                                 std::function<void(lt::storage_error const&)> handler) {
    auto what = make_job(index, job_kind::fence);
    what->target->stops.fetch_add(1, std::memory_order_relaxed);
    abort_waiting_for_memory(what->target.get());
    abort_waiting_for_checks(what->target.get());
    what->fail(EOPNOTSUPP, lt::operation_t::file_remove);
    what->handler = [handler = std::move(handler)](job& done) { handler(done.error); };
    post_fence(std::move(what));
}

void disk_io::async_set_file_priority(
    lt::storage_index_t index, lt::aux::vector<lt::download_priority_t, lt::file_index_t> priorities,
    std::function<void(lt::storage_error const&, lt::aux::vector<lt::download_priority_t, lt::file_index_t>)> handler) {
    auto what = make_job(index, job_kind::fence);
    if (!what->target->image) {
        what->fail(ENODEV, lt::operation_t::file_open);
    }
    // Priorities affect only libtorrent's piece picker: an extent needs no file that could be omitted.
    what->handler = [priorities = std::move(priorities), handler = std::move(handler)](job& done) {
        handler(done.error, priorities);
    };
    post_fence(std::move(what));
}

void disk_io::async_clear_piece(lt::storage_index_t index, lt::piece_index_t piece,
                                std::function<void(lt::piece_index_t)> handler) {
    auto what = make_job(index, job_kind::fence);
    // When the fence runs, every write of the piece has ended: nothing is left in memory to clear.
    what->handler = [piece, handler = std::move(handler)](job&) { handler(piece); };
    post_fence(std::move(what));
}

} // namespace seedbed
