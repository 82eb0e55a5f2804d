#pragma once

// Private to image_io: included by its .cpp files only.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/backend/image_io.hpp"
#include "core/device/io_job.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

/// Reads consecutive blocks of a piece from the device into the cache.
class image_io::fill_job final : public io_job {
public:
    explicit fill_job(image_io& owner)
        : io_job(direction::read)
        , m_owner(owner) {}

    /// Takes over \p wanted, and leaves it with other memory for the next use.
    void begin(piece_cache::fill& wanted, std::int64_t position) noexcept;
    /// May throw std::bad_alloc: the queue then ends the job with ENOMEM.
    void prepare() override;
    void end(result<void, io_error> const& outcome) override { m_owner.end_fill(*this, outcome); }

    piece_cache::fill fill;

private:
    image_io& m_owner;
};

/// The blocks of one write while it is with the device. Has room for the longest run: nothing is allocated for them
/// then.
struct image_io::write_batch {
    struct group {
        std::int32_t piece;
        std::size_t first; ///< of items
        std::size_t count;
        std::size_t again; ///< end of its blocks in dirty_again
    };
    std::vector<piece_cache::flush_item> items;
    std::vector<group> groups;
    std::vector<std::int32_t> dirty_again; ///< blocks; see group::again

    explicit write_batch(std::int32_t blocks) { make_room(blocks); }
    /// Throws std::bad_alloc.
    void make_room(std::int32_t blocks) {
        auto const count = static_cast<std::size_t>(blocks);
        items.reserve(count);
        groups.reserve(count);
        dirty_again.reserve(count);
    }
    void clear() noexcept {
        items.clear();
        groups.clear();
        dirty_again.clear();
    }
    [[nodiscard]] std::int32_t size() const noexcept { return static_cast<std::int32_t>(items.size()); }
};

/// Writes a run of dirty blocks, and the dirty ones that follow it. Small while it waits: what it takes along it takes
/// when it runs, into one of the batches that were reserved for that.
class image_io::write_job final : public io_job {
public:
    explicit write_job(image_io& owner)
        : io_job(direction::write)
        , m_owner(owner) {}

    void begin(block_run const& run, std::int64_t position) noexcept;
    /// Takes the blocks of the run that are dirty now: some may have left with another one, and more may have come
    /// behind it. Does not throw.
    void prepare() override;
    void end(result<void, io_error> const& outcome) override { m_owner.end_write(*this, outcome); }

    std::unique_ptr<write_batch> batch; ///< from prepare() to end()
    std::optional<io_error> failed;     ///< the image had failed before: nothing was written

private:
    /// Takes the dirty blocks that follow \p next, up to \p most blocks in all.
    void take_following(std::int32_t next, std::int32_t most);
    /// \return the first block of [begin, end) that was not dirty.
    std::int32_t take(std::int32_t piece, std::int32_t begin, std::int32_t end);
    void add_segments();

    image_io& m_owner;
    block_run m_run;
};

/// As many whole blocks as \p bytes are, at least one.
[[nodiscard]] inline std::int32_t to_blocks(std::int64_t bytes) noexcept {
    return static_cast<std::int32_t>(std::max<std::int64_t>(bytes / block_size, 1));
}

/// The blocks that one write takes at most.
[[nodiscard]] inline std::int32_t most_blocks(io_profile const& profile) noexcept {
    return profile.coalesce > block_size ? to_blocks(profile.coalesce) * profile.backlog_runs : 1;
}

template <class Job>
Job& image_io::take_job(job_store<Job>& from) noexcept {
    std::unique_ptr<Job> taken;
    retry_on_bad_alloc([&] {
        std::scoped_lock const lock(m_jobs_mutex);
        if (from.free.empty()) {
            if (from.free.capacity() <= from.made) {
                from.free.reserve(2 * from.made + 1);
            }
            from.free.push_back(std::make_unique<Job>(*this));
            ++from.made;
        }
        taken = std::move(from.free.back());
        from.free.pop_back();
    });
    return *taken.release(); // the queue's, until end()
}

template <class Job>
void image_io::give_back(job_store<Job>& to, Job& job) noexcept {
    std::scoped_lock const lock(m_jobs_mutex);
    to.free.emplace_back(&job);
}

} // namespace seedbed
