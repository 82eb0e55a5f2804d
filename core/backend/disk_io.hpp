#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <libtorrent/disk_interface.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/io_context.hpp>
#include <libtorrent/settings_pack.hpp>

#include "core/backend/backend.hpp"
#include "core/backend/completion_queue.hpp"
#include "core/backend/disk_job.hpp"
#include "core/backend/in_flight_count.hpp"
#include "core/cache/back_pressure.hpp"
#include "core/foundation/thread_confinement.hpp"

namespace seedbed {

/// One session's view of the backend: lt::disk_interface of libtorrent 2.0.
///
/// A torrent finds its image by info-hash; a torrent without an image gets a storage on which everything fails with
/// ENODEV. Devices have no files: rename, move and delete fail with operation_not_supported.
///
/// File priorities steer libtorrent's picker alone. A piece that is wanted for one extent is written as a whole, also
/// where it covers an extent of priority 0: a device has no other place for those bytes.
///
/// After a failed write, nothing is written until libtorrent stops the torrent, as it does with each torrent in error.
/// The first write after that is tried again. A failed flush is final.
///
/// Contract with libtorrent, kept for every operation: it is called on the network thread; its handler is posted to the
/// session's io_context exactly once, never from within the call, even after abort(); fences run in the order of
/// posting. While a job is outstanding, the io_context is kept from running out of work.
///
/// Threads: all members on the network thread. The destructor waits for the jobs that workers still hold. Their
/// handlers, and those of jobs behind a fence, are then dropped, because the session that they would call is gone.
class disk_io final : public libtorrent::disk_interface, private waiter_sink {
public:
    disk_io(std::shared_ptr<backend> shared, libtorrent::io_context& context,
            libtorrent::settings_interface const& settings, libtorrent::counters& counters);
    disk_io(disk_io const&) = delete;
    disk_io& operator=(disk_io const&) = delete;
    ~disk_io() override;

    libtorrent::storage_holder new_torrent(libtorrent::storage_params const& params,
                                           std::shared_ptr<void> const& torrent) override;
    void remove_torrent(libtorrent::storage_index_t index) override;

    void async_read(libtorrent::storage_index_t index, libtorrent::peer_request const& request,
                    std::function<void(libtorrent::disk_buffer_holder, libtorrent::storage_error const&)> handler,
                    libtorrent::disk_job_flags_t flags) override;
    bool async_write(libtorrent::storage_index_t index, libtorrent::peer_request const& request, char const* buffer,
                     std::shared_ptr<libtorrent::disk_observer> observer,
                     std::function<void(libtorrent::storage_error const&)> handler,
                     libtorrent::disk_job_flags_t flags) override;
    void async_hash(
        libtorrent::storage_index_t index, libtorrent::piece_index_t piece,
        libtorrent::span<libtorrent::sha256_hash> v2, libtorrent::disk_job_flags_t flags,
        std::function<void(libtorrent::piece_index_t, libtorrent::sha1_hash const&, libtorrent::storage_error const&)>
            handler) override;
    void async_hash2(
        libtorrent::storage_index_t index, libtorrent::piece_index_t piece, int offset,
        libtorrent::disk_job_flags_t flags,
        std::function<void(libtorrent::piece_index_t, libtorrent::sha256_hash const&, libtorrent::storage_error const&)>
            handler) override;

    void
    async_move_storage(libtorrent::storage_index_t index, std::string path, libtorrent::move_flags_t flags,
                       std::function<void(libtorrent::status_t, std::string const&, libtorrent::storage_error const&)>
                           handler) override;
    void async_release_files(libtorrent::storage_index_t index, std::function<void()> handler) override;
    void
    async_check_files(libtorrent::storage_index_t index, libtorrent::add_torrent_params const* resume_data,
                      libtorrent::aux::vector<std::string, libtorrent::file_index_t> links,
                      std::function<void(libtorrent::status_t, libtorrent::storage_error const&)> handler) override;
    void async_stop_torrent(libtorrent::storage_index_t index, std::function<void()> handler) override;
    void async_rename_file(
        libtorrent::storage_index_t index, libtorrent::file_index_t file, std::string name,
        std::function<void(std::string const&, libtorrent::file_index_t, libtorrent::storage_error const&)> handler)
        override;
    void async_delete_files(libtorrent::storage_index_t index, libtorrent::remove_flags_t options,
                            std::function<void(libtorrent::storage_error const&)> handler) override;
    void async_set_file_priority(
        libtorrent::storage_index_t index,
        libtorrent::aux::vector<libtorrent::download_priority_t, libtorrent::file_index_t> priorities,
        std::function<void(libtorrent::storage_error const&,
                           libtorrent::aux::vector<libtorrent::download_priority_t, libtorrent::file_index_t>)>
            handler) override;
    void async_clear_piece(libtorrent::storage_index_t index, libtorrent::piece_index_t piece,
                           std::function<void(libtorrent::piece_index_t)> handler) override;

    void update_stats_counters(libtorrent::counters& counters) const override;
    [[nodiscard]] std::vector<libtorrent::open_file_state> get_status(libtorrent::storage_index_t index) const override;

    /// From now on, reads and checks that no worker has started end with operation_aborted; writes still reach the
    /// device.
    /// \param wait return only when no job is in flight.
    void abort(bool wait) override;
    /// Does nothing: jobs are passed to the workers when they are posted.
    void submit_jobs() override {}
    /// Applies max_queued_disk_bytes, the high watermark of waiting writes.
    void settings_updated() override;

private:
    using storage = disk_storage;
    using job = disk_job;
    using job_kind = disk_job_kind;
    using storage_ptr = std::shared_ptr<storage>;
    using job_ptr = std::unique_ptr<job>;

    [[nodiscard]] storage_ptr const& find(libtorrent::storage_index_t index) const;
    [[nodiscard]] job_ptr make_job(libtorrent::storage_index_t index, job_kind kind);
    [[nodiscard]] job_ptr make_job(storage_ptr target, job_kind kind);
    [[nodiscard]] std::atomic<std::int64_t>& gauge_of(job_kind kind);
    void post(job_ptr what, void (disk_io::*start)(job_ptr));
    void post_fence(job_ptr what);

    void start_read(job_ptr what);
    void start_write(job_ptr what);
    void start_stop(job_ptr what);
    void start_hash(job_ptr what);
    void hash_after_target(job_ptr what);
    void start_hash2(job_ptr what);
    /// Of a piece that is compared with the torrent before it is read.
    void start_check(job_ptr what);
    void finish_at_once(job_ptr what);

    /// Answers a hash with the one of the torrent: the piece is compared with it before it is read.
    void promise_hash(job_ptr what);
    /// Whether a read may start now; otherwise it has been taken.
    [[nodiscard]] bool may_read(job_ptr& what);
    void run_checks(storage_ptr const& target);
    void end_check(job& done);
    /// Aborts the reads of a torrent (of all torrents, if null) that wait for a check.
    void abort_waiting_for_checks(storage const* only);
    void abort_reads(waiter_list reads);
    /// Any thread: requests the blocks of a read, up to the first one that is not in memory.
    [[nodiscard]] read_answer continue_read(job_ptr& what, memory_share share);
    /// Takes the block that has arrived for a read. \return whether the read is complete.
    [[nodiscard]] static bool take_block(job& what);
    /// Adds an in-flight read to the queue for memory.
    void wait_for_memory(job_ptr what);
    [[nodiscard]] bool try_again(io_waiter& waiter) override;
    /// Aborts the reads of a torrent (of all torrents, if null) that wait for memory.
    void abort_waiting_for_memory(storage const* only);
    void finish_read(job_ptr what);
    /// Passes a job to the hash workers; \p run ends with finish().
    void hand_over(job_ptr what, void (disk_io::*run)(job_ptr));
    void run_hash(job_ptr what);
    void run_hash2(job_ptr what);
    /// \param run may throw std::bad_alloc: the job then fails with ENOMEM.
    void run_on_worker(job_ptr what, void (disk_io::*run)(job&));
    /// Any thread: reports to the job's image that there was no memory to hash its piece.
    static void fail_for_memory(job& what);
    void hash(job& what);
    void hash_block(job& what);
    /// Whether the job must no longer run; if so, it has been aborted.
    [[nodiscard]] bool cancelled(job& what) const;

    /// From the cache: the blocks of these jobs are in memory, or on the device.
    void deliver(waiter_list jobs, io_error const* failed) override;
    /// Any thread: the job has ended; its handler will be called on the network thread. If the job was in flight, this
    /// object may be gone afterwards.
    void finish(job_ptr what);
    void call_handlers();
    /// How many bytes of a torrent's writes may wait, given the speed of its device.
    [[nodiscard]] std::int64_t most_queued(storage const& of) const;
    /// Bytes of a torrent's writes are done: paused senders may continue.
    void drained(storage& of, std::int64_t written);
    static void wake(std::vector<std::weak_ptr<libtorrent::disk_observer>> const& observers);
    void call_handler(job& done);
    void recycle(job_ptr done);

    std::shared_ptr<backend> m_backend;
    libtorrent::io_context& m_context;
    libtorrent::settings_interface const& m_settings;
    libtorrent::counters& m_counters;

    std::vector<storage_ptr> m_storages;
    std::vector<std::uint32_t> m_free_storages;
    std::vector<job_ptr> m_free_jobs;
    back_pressure<libtorrent::disk_observer> m_back_pressure; ///< of all images together; each also has its own
    std::int64_t m_most_queued = 0;                           ///< bytes that settings and pool allow to wait
    std::size_t m_pool_blocks = 0;                            ///< the pool's size when the watermark was set
    bool m_pressed = false; ///< peers are paused, and all dirty blocks have been made to leave

    /// Jobs whose handler has not been called yet; while there are any, m_work keeps the io_context running.
    std::size_t m_outstanding = 0;
    std::optional<boost::asio::executor_work_guard<libtorrent::io_context::executor_type>> m_work;

    std::atomic<bool> m_aborted{false};
    std::array<std::atomic<std::int64_t>, 4> m_jobs{}; ///< outstanding, by job_kind; for the counters
    in_flight_count m_in_flight; ///< jobs that a worker or the cache holds; abort() and the destructor wait for them
    [[no_unique_address]] thread_confinement m_network_thread;
    std::shared_ptr<char> m_alive = std::make_shared<char>(); ///< for handlers that run after this object is gone
    completion_queue m_completions;
};

} // namespace seedbed
