#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/backend/image_device.hpp"
#include "core/backend/write_batch.hpp"
#include "core/cache/piece_cache.hpp"
#include "core/cache/write_coalescer.hpp"
#include "core/device/io_job.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

class fill_job;
class write_job;

/// Takes back the transfers of an image when they have ended.
class transfer_owner {
public:
    /// Called on the queue's threads.
    virtual void end_fill(fill_job& done, result<void, io_error> const& outcome) noexcept = 0;
    virtual void end_write(write_job& done, result<void, io_error> const& outcome) noexcept = 0;

protected:
    ~transfer_owner() = default;
};

/// The objects that the transfers of an image use.
struct transfer_context {
    transfer_owner& owner;
    image_device& image;
    std::uint32_t number; ///< the image's number in the cache
    piece_cache& cache;
    write_coalescer& coalescer;
    write_batches& batches;
    std::atomic<std::int32_t> const& most; ///< maximum number of blocks in one write
};

/// Reads consecutive blocks of a piece from the device into the cache.
class fill_job final : public io_job {
public:
    explicit fill_job(transfer_context const& parts)
        : io_job(direction::read)
        , m_parts(parts) {}

    /// Takes over \p wanted, and gives it other memory for its next use.
    void begin(piece_cache::fill& wanted, device_offset position) noexcept;
    /// May throw std::bad_alloc: the queue then ends the job with ENOMEM.
    void prepare() override;
    void end(result<void, io_error> const& outcome) override { m_parts.owner.end_fill(*this, outcome); }

    piece_cache::fill fill;

private:
    transfer_context const& m_parts;
};

/// Writes a run of dirty blocks, and the dirty ones that follow it. Small while it waits: it takes the blocks only when
/// it runs, into a batch reserved for that.
class write_job final : public io_job {
public:
    explicit write_job(transfer_context const& parts)
        : io_job(direction::write)
        , m_parts(parts) {}

    void begin(block_run const& run, device_offset position) noexcept;
    /// Takes the blocks of the run that are dirty now: some may have left with another run, and more may have been
    /// added after it. Does not throw.
    void prepare() override;
    void end(result<void, io_error> const& outcome) override { m_parts.owner.end_write(*this, outcome); }

    std::unique_ptr<write_batch> batch; ///< from prepare() to end()
    std::optional<io_error> failed;     ///< the image had failed before: nothing was written

private:
    /// Takes the dirty blocks that follow \p next, up to \p most blocks in total.
    void take_following(std::int32_t next, std::int32_t most);
    /// \return the first block of [begin, end) that was not dirty.
    std::int32_t take(piece_index piece, std::int32_t begin, std::int32_t end);
    void add_segments();

    transfer_context const& m_parts;
    block_run m_run;
};

/// Unused jobs, kept for reuse.
///
/// Threads: every member may be called from any thread.
template <class Job>
class job_store {
public:
    /// \param parts passed to every job; must outlive this object.
    explicit job_store(transfer_context const& parts)
        : m_parts(parts) {}

    /// Takes a job to submit to a queue. If none is left, retries until there is memory for one.
    [[nodiscard]] Job& take() noexcept {
        std::unique_ptr<Job> taken;
        retry_on_bad_alloc([&] {
            std::scoped_lock const lock(m_mutex);
            if (m_free.empty()) {
                if (m_free.capacity() <= m_made) {
                    m_free.reserve(2 * m_made + 1);
                }
                m_free.push_back(std::make_unique<Job>(m_parts));
                ++m_made;
            }
            taken = std::move(m_free.back());
            m_free.pop_back();
        });
        return *taken.release();
    }
    /// Takes back a job that has ended.
    void give_back(Job& job) noexcept {
        std::scoped_lock const lock(m_mutex);
        m_free.emplace_back(&job);
    }

private:
    transfer_context const& m_parts;
    std::mutex m_mutex;                       ///< guards the members below
    std::vector<std::unique_ptr<Job>> m_free; ///< has room for all that were created
    std::size_t m_made = 0;
};

} // namespace seedbed
