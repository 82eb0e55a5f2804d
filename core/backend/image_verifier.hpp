#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/backend/image_storage.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// Reads an image back from the medium, past the page cache, and hashes every piece against the torrent.
///
/// Nothing must be written to the image meanwhile, and what was written must have been flushed before.
///
/// Threads: start(), cancel() and verified_bytes() from any; the work runs on the pool's workers, and so does the
/// handler.
class image_verifier : public std::enable_shared_from_this<image_verifier> {
    struct private_tag {};

public:
    struct outcome {
        std::vector<extent> differing;    ///< of the device, in order, one a slice of a piece whose hash does not match
        std::vector<std::int32_t> pieces; ///< the pieces that do not match, in order
        std::optional<io_error> read_failed; ///< the first read that failed; what lies behind it was not looked at
        bool cancelled = false;

        /// True where every byte is as the torrent says.
        [[nodiscard]] bool ok() const noexcept { return pieces.empty() && !read_failed && !cancelled; }
    };
    using handler = std::function<void(outcome const&)>;

    /// \param workers must outlive the work. \param parallel pieces to read at once, at least 1; they are taken in
    /// order. Of a disk with a head only one worker at a time reads, a whole piece, which it hashes while the next one
    /// reads: the head goes once from the beginning to the end, and each worker takes memory for a piece. Those workers
    /// are lent: other work of the pool has as many as before, also while a device hangs. \param done is called once,
    /// also after cancel(); again, where it throws std::bad_alloc, before which it must have done nothing.
    static std::shared_ptr<image_verifier> start(std::shared_ptr<image_storage> image, worker_pool& workers,
                                                 int parallel, handler done);

    /// The work ends soon, with outcome::cancelled.
    void cancel() noexcept { m_cancelled.store(true, std::memory_order_relaxed); }

    /// Bytes of the stream that were read and hashed so far.
    [[nodiscard]] std::int64_t verified_bytes() const noexcept { return m_verified.load(std::memory_order_relaxed); }

    image_verifier(private_tag, std::shared_ptr<image_storage> image, worker_pool& workers, handler done);

private:
    void submit();
    void verify_next();
    void verify(std::int32_t piece, std::unique_lock<std::mutex>& reader);
    void fail(io_error error) noexcept;
    void leave();
    void list_differing();

    std::shared_ptr<image_storage> const m_image;
    worker_pool& m_workers;
    handler const m_done;
    bool const m_has_head;
    std::mutex m_reader; ///< held by the one who reads, where there is one
    std::atomic<std::int32_t> m_next{0};
    std::atomic<int> m_running{0};
    std::atomic<std::int64_t> m_verified{0};
    std::atomic<bool> m_cancelled{false};
    std::atomic<bool> m_failed{false};
    std::mutex m_mutex;
    outcome m_outcome; ///< guarded by m_mutex until the last worker leaves
};

} // namespace seedbed
