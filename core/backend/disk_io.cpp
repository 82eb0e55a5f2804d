#include "core/backend/disk_io.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>
#include <new>
#include <utility>

#include <boost/asio/post.hpp>
#include <libtorrent/file_storage.hpp>
#include <libtorrent/performance_counters.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/backend/libtorrent_disk.hpp"
#include "core/image/libtorrent_hash.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// One more piece waits for each hash worker, so that none waits for the network thread. A quarter of the pool may hold
/// pieces that are hashed before the first read of them, for each torrent of a session; three pieces always may.
read_checks make_checks(served_image const& image, backend& shared) {
    constexpr std::int64_t most_bytes = 64 << 20;
    auto const blocks = std::min(static_cast<std::int64_t>(shared.pool().capacity() / 4), shared.cache().clean_limit());
    auto const bytes = std::min(most_bytes, blocks * block_size);
    auto const& torrent = image.torrent();
    return {torrent.piece_count, 2 * shared.hash_workers().threads(),
            static_cast<int>(std::max<std::int64_t>(bytes / torrent.piece_length, 3))};
}

} // namespace

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
    // Every running job has ended, so each storage with jobs behind a fence is found through one of them.
    for (auto ended = m_completions.take(); !ended.empty();) {
        auto const dropped = job_ptr(static_cast<job*>(ended.pop()));
        dropped->target->fence.drop_blocked();
    }
}

void disk_io::settings_updated() {
    auto const queued = std::int64_t{m_settings.get_int(lt::settings_pack::max_queued_disk_bytes)};
    // libtorrent's setting has a maximum of 2 GiB, which is taken to mean no limit. One sixteenth of the pool is
    // reserved for reads.
    auto const wanted = queued == std::numeric_limits<int>::max() ? std::numeric_limits<std::int64_t>::max() : queued;
    m_pool_blocks = m_backend->pool().capacity();
    auto const most = static_cast<std::int64_t>(m_pool_blocks) * block_size / 16 * 15;
    m_most_queued = std::min(wanted, most);
    m_back_pressure.set_high_watermark(m_most_queued);
}

// --- storages

lt::storage_holder disk_io::new_torrent(lt::storage_params const& params, std::shared_ptr<void> const&) {
    auto added = std::make_shared<storage>(m_backend->find_image(to_info_hash(params.info_hash)), [this](job_ptr what) {
        auto const start = what->start;
        (this->*start)(std::move(what));
    });
    if (added->image && added->image->verifies_before_reads()) {
        added->checks.emplace(make_checks(*added->image, *m_backend));
    }
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
    m_storages[slot]->stops.fetch_add(1, std::memory_order_relaxed);
    abort_waiting_for_checks(m_storages[slot].get());
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
    // The files are extents of one device, so all of them are open.
    auto const mode =
        target->image->device().read_only() ? lt::file_open_mode::read_only : lt::file_open_mode::read_write;
    for (auto const file : target->image->torrent().info->files().file_range()) {
        open.push_back({file, mode, target->last_use});
    }
    return open;
}

// --- a job's way

disk_io::job_ptr disk_io::make_job(lt::storage_index_t index, job_kind kind) {
    return make_job(find(index), kind);
}

disk_io::job_ptr disk_io::make_job(storage_ptr target, job_kind kind) {
    m_network_thread.check();
    job_ptr made;
    if (m_free_jobs.empty()) {
        made = std::make_unique<job>();
    } else {
        made = std::move(m_free_jobs.back());
        m_free_jobs.pop_back();
    }
    made->sink = this;
    made->kind = kind;
    made->target = std::move(target);
    made->start = &disk_io::finish_at_once;
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
    auto const target = what->target;
    target->fence.post_fence(std::move(what));
    if (target->image && target->fence.blocked() > 0) {
        // The fence waits for writes that would otherwise wait for their neighbours.
        target->image->io().expedite();
    }
}

void disk_io::finish_at_once(job_ptr what) {
    finish(std::move(what));
}

void disk_io::hand_over(job_ptr what, void (disk_io::*run)(job_ptr)) {
    if (!what->flight) { // otherwise it was parked
        what->flight = m_in_flight.begin();
    }
    try {
        m_backend->hash_workers().submit([this, run, waits = what.get()] { (this->*run)(job_ptr(waits)); });
        static_cast<void>(what.release()); // the worker owns it since submit()
    } catch (std::bad_alloc const&) {
        fail_for_memory(*what);
        finish(std::move(what));
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
    auto const flight = std::move(what->flight); // ends last
    waiter_list one;
    one.push(what.release());
    m_completions.push(one);
}

void disk_io::call_handler(job& done) {
    if (done.write_handler) {
        done.write_handler(done.error);
    } else if (done.read_handler) {
        if (done.error) {
            done.read_handler(lt::disk_buffer_holder{}, done.error);
        } else {
            auto* const data = done.memory.data() + done.offset % block_size;
            static_cast<void>(done.memory.release()); // libtorrent returns it through backend::free_disk_buffer()
            done.read_handler(lend_block(*m_backend, data, done.length), done.error);
        }
    } else {
        done.handler(done);
    }
}

void disk_io::call_handlers() {
    m_network_thread.check();
    auto batch = m_completions.take();
    storage_ptr drains; // the torrent of the last writes
    std::int64_t written = 0;
    auto const tell_drained = [&] {
        if (written > 0) {
            drained(*drains, std::exchange(written, 0));
        }
    };
    while (!batch.empty()) {
        auto done = job_ptr(static_cast<job*>(batch.pop()));
        if (done->kind == job_kind::write) {
            if (drains != done->target) {
                tell_drained();
                drains = done->target;
            }
            written += done->length;
        }
        call_handler(*done);
        if (!done->internal) {
            done->target->fence.ended();
        }
        if (done->target->fence.blocked() > 0 && done->target->image) {
            // Writes that waited for a fence have started, and the next fence waits for them.
            done->target->image->io().expedite();
        }
        recycle(std::move(done));
    }
    tell_drained();
}

std::int64_t disk_io::most_queued(storage const& of) const {
    // Leave memory for other images in case a fast device hangs.
    auto const alone = m_storages.size() - m_free_storages.size() < 2;
    return std::min(alone ? m_most_queued : m_most_queued / 4 * 3, of.drain.limit());
}

void disk_io::drained(storage& of, std::int64_t written) {
    of.drain.drained(drain_meter::clock::now(), written);
    of.pressure.set_high_watermark(most_queued(of));
    auto const of_torrent = of.pressure.remove(written);
    auto const of_session = m_back_pressure.remove(written);
    if (of.pressure.bytes() <= of.pressure.low_watermark()) {
        of.pressed = false;
    }
    if (m_back_pressure.bytes() <= m_back_pressure.low_watermark()) {
        m_pressed = false;
    }
    wake(of_torrent);
    wake(of_session);
}

void disk_io::wake(std::vector<std::weak_ptr<lt::disk_observer>> const& observers) {
    for (auto const& each : observers) {
        if (auto const observer = each.lock()) {
            observer->on_disk();
        }
    }
}

void disk_io::recycle(job_ptr done) {
    gauge_of(done->kind).fetch_sub(1, std::memory_order_relaxed);
    done->reset();
    try {
        m_free_jobs.push_back(std::move(done));
    } catch (std::bad_alloc const&) { // it is not reused
    }
    if (--m_outstanding == 0) {
        m_work.reset();
    }
}

void disk_io::abort(bool wait) {
    m_aborted.store(true, std::memory_order_relaxed);
    abort_waiting_for_memory(nullptr);
    abort_waiting_for_checks(nullptr);
    m_backend->expedite();
    if (wait) {
        m_in_flight.wait();
    }
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
    counters.set_value(lt::counters::queued_disk_jobs, m_in_flight.count());
    counters.set_value(lt::counters::disk_blocks_in_use, static_cast<std::int64_t>(m_backend->pool().in_use()));
}

} // namespace seedbed
