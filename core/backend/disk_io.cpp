#include "core/backend/disk_io.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <boost/asio/post.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/backend/disk_io_job.hpp"

namespace seedbed {

namespace lt = libtorrent;

std::unique_ptr<lt::disk_interface> make_disk_io(std::shared_ptr<backend> shared, lt::io_context& context,
                                                 lt::settings_interface const& settings, lt::counters& counters) {
    return std::make_unique<disk_io>(std::move(shared), context, settings, counters);
}

disk_io::disk_io(std::shared_ptr<backend> shared, lt::io_context& context, lt::settings_interface const& settings,
                 lt::counters& counters)
    : m_backend(std::move(shared))
    , m_context(context)
    , m_settings(settings)
    , m_counters(counters)
    , m_back_pressure(1)
    , m_completions([this] {
        boost::asio::post(m_context, [this, alive = std::weak_ptr<char>(m_alive)] {
            if (!alive.expired()) {
                call_handlers();
            }
        });
    }) {
    disk_io::settings_updated();
}

disk_io::~disk_io() {
    disk_io::abort(true);
    // Every job that runs has ended, so each storage with jobs behind a fence is reached through one of these.
    for (auto const& ended : m_completions.take({})) {
        ended->target->fence.drop_blocked();
    }
}

void disk_io::settings_updated() {
    auto const queued = std::int64_t{m_settings.get_int(lt::settings_pack::max_queued_disk_bytes)};
    // A quarter of the pool is left for reads, whatever the session asks for.
    auto const most = static_cast<std::int64_t>(m_backend->pool().capacity()) * block_size / 4 * 3;
    m_back_pressure.set_high_watermark(std::min(queued, most));
}

// --- storages

lt::storage_holder disk_io::new_torrent(lt::storage_params const& params, std::shared_ptr<void> const&) {
    auto added = std::make_shared<storage>(*this, m_backend->find_image(params.info_hash));
    std::uint32_t index = 0;
    if (m_free_storages.empty()) {
        index = static_cast<std::uint32_t>(m_storages.size());
        m_storages.push_back(std::move(added));
    } else {
        index = m_free_storages.back();
        m_free_storages.pop_back();
        m_storages[index] = std::move(added);
    }
    return {lt::storage_index_t{index}, *this};
}

void disk_io::remove_torrent(lt::storage_index_t index) {
    auto const slot = static_cast<std::uint32_t>(index);
    m_storages[slot].reset();
    m_free_storages.push_back(slot);
}

disk_io::storage_ptr const& disk_io::find(lt::storage_index_t index) const {
    return m_storages[static_cast<std::uint32_t>(index)];
}

std::vector<lt::open_file_state> disk_io::get_status(lt::storage_index_t index) const {
    std::vector<lt::open_file_state> open;
    auto const& target = find(index);
    if (!target || !target->image) {
        return open;
    }
    // The files are extents of one device: when it is open, all of them are.
    auto const mode =
        target->image->device().read_only() ? lt::file_open_mode::read_only : lt::file_open_mode::read_write;
    for (auto const file : target->image->torrent().info->files().file_range()) {
        open.push_back({file, mode, target->last_use});
    }
    return open;
}

// --- a job's way

disk_io::job_ptr disk_io::make_job(lt::storage_index_t index, job_kind kind) {
    auto made = std::make_unique<job>();
    made->owner = this;
    made->kind = kind;
    made->target = find(index);
    made->stops = made->target->stops.load(std::memory_order_relaxed);
    made->target->last_use = lt::clock_type::now();
    gauge_of(kind).fetch_add(1, std::memory_order_relaxed);
    if (m_outstanding++ == 0) {
        m_work.emplace(m_context.get_executor());
    }
    return made;
}

void disk_io::post(job_ptr what, void (disk_io::*start)(job_ptr)) {
    if (!what->target->image && !what->error) {
        what->fail(ENODEV, lt::operation_t::file_open);
    }
    if (!what->error) {
        what->start = start;
    }
    auto& fence = what->target->fence;
    fence.post(std::move(what));
}

void disk_io::post_fence(job_ptr what) {
    auto& fence = what->target->fence;
    fence.post_fence(std::move(what));
}

void disk_io::finish_at_once(job_ptr what) {
    finish(std::move(what));
}

void disk_io::enter_worker() {
    m_with_workers.fetch_add(1, std::memory_order_relaxed);
}

void disk_io::hand_over(worker_pool& pool, job_ptr what, void (disk_io::*run)(job_ptr)) {
    enter_worker();
    submit(pool, std::move(what), run);
}

void disk_io::submit(worker_pool& pool, job_ptr what, void (disk_io::*run)(job_ptr)) {
    struct call {
        disk_io* self;
        void (disk_io::*run)(job_ptr);
        job* owned;
        void operator()() const {
            (self->*run)(job_ptr(owned));
            self->leave_worker();
        }
    };
    pool.submit(call{this, run, what.release()});
}

void disk_io::leave_worker() {
    // Under the lock, so that whoever waits for the last one can not destroy this before the notification is out.
    std::scoped_lock const lock(m_workers_mutex);
    if (m_with_workers.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        m_workers_idle.notify_all();
    }
}

bool disk_io::cancelled(job& what) const {
    if (m_aborted.load(std::memory_order_relaxed) ||
        (what.volatile_read && what.stops != what.target->stops.load(std::memory_order_relaxed))) {
        what.abort();
        return true;
    }
    return false;
}

void disk_io::finish(job_ptr what) {
    m_completions.push(std::move(what));
}

void disk_io::call_handlers() {
    auto batch = m_completions.take(std::move(m_batch));
    std::int64_t written = 0;
    for (auto& ended : batch) {
        auto const done = std::move(ended);
        if (done->kind == job_kind::write) {
            written += done->length;
        }
        done->handler(*done);
        done->target->fence.ended();
        gauge_of(done->kind).fetch_sub(1, std::memory_order_relaxed);
        if (--m_outstanding == 0) {
            m_work.reset();
        }
    }
    batch.clear();
    m_batch = std::move(batch);
    if (written > 0) {
        for (auto const& waiting : m_back_pressure.remove(written)) {
            if (auto const observer = waiting.lock()) {
                observer->on_disk();
            }
        }
    }
}

void disk_io::abort(bool wait) {
    m_aborted.store(true, std::memory_order_relaxed);
    if (!wait) {
        return;
    }
    std::unique_lock lock(m_workers_mutex);
    m_workers_idle.wait(lock, [this] { return m_with_workers.load(std::memory_order_acquire) == 0; });
}

std::atomic<std::int64_t>& disk_io::gauge_of(job_kind kind) {
    return m_jobs.at(static_cast<std::size_t>(kind));
}

void disk_io::update_stats_counters(lt::counters& counters) const {
    auto const jobs = [this](job_kind kind) {
        return m_jobs.at(static_cast<std::size_t>(kind)).load(std::memory_order_relaxed);
    };
    auto const reads = jobs(job_kind::read);
    auto const writes = jobs(job_kind::write);
    counters.set_value(lt::counters::num_read_jobs, reads);
    counters.set_value(lt::counters::num_write_jobs, writes);
    counters.set_value(lt::counters::num_jobs, reads + writes + jobs(job_kind::hash) + jobs(job_kind::fence));
    counters.set_value(lt::counters::queued_disk_jobs,
                       static_cast<std::int64_t>(m_with_workers.load(std::memory_order_relaxed)));
    counters.set_value(lt::counters::disk_blocks_in_use, static_cast<std::int64_t>(m_backend->pool().in_use()));
}

} // namespace seedbed
