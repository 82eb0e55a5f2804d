#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "core/backend/image_device.hpp"
#include "core/foundation/strong.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// Reads an image back from the medium, past the page cache, and compares every piece with the torrent: by the piece's
/// hash, or, on a packed target, by those of its chunks.
///
/// The image must have been flushed, and must not be written to meanwhile.
///
/// Threads: start(), cancel() and verified_bytes() from any; the work runs on the pool's workers, and so does the
/// handler.
class image_verifier : public std::enable_shared_from_this<image_verifier> {
    struct private_tag {};

public:
    struct outcome {
        std::vector<extent> differing;   ///< of the device, in order: one for each slice of a differing piece
        std::vector<piece_index> pieces; ///< the pieces that do not match, in order
        /// The first failed read; later pieces were not checked, unless unreadable pieces are skipped.
        std::optional<io_error> read_failed;
        std::vector<piece_index> unreadable; ///< the skipped pieces, in order
        bool cancelled = false;

        /// Whether every byte matches the torrent.
        [[nodiscard]] bool ok() const noexcept { return pieces.empty() && !read_failed && !cancelled; }
    };
    using handler = std::function<void(outcome const&)>;

    struct pace {
        int parallel = 1; ///< pieces checked concurrently, at least 1; they are taken in order
        /// For a disk with a head: one worker at a time reads, a whole piece, and hashes it while the next one reads.
        /// The head then crosses the disk once, and each worker needs memory for a piece.
        bool one_reads = false;
    };

    /// \param workers must outlive the work. Its workers are lent: the pool's other work has as many as before, even
    /// while a device hangs. \param done is called once, also after cancel(); if it throws std::bad_alloc, it must have
    /// had no effect, and is called again.
    /// \param only the pieces to read, one bit each; empty: all of them. \param skip_unreadable a failed read does not
    /// end the work: its piece is listed.
    static std::shared_ptr<image_verifier> start(std::shared_ptr<image_device> image, worker_pool& workers, pace how,
                                                 handler done, std::vector<bool> only = {},
                                                 bool skip_unreadable = false);

    /// Makes the work end soon, with outcome::cancelled.
    void cancel() noexcept { m_cancelled.store(true, std::memory_order_relaxed); }

    /// Bytes of the image on the device that have been read and compared.
    [[nodiscard]] std::int64_t verified_bytes() const noexcept { return m_verified.load(std::memory_order_relaxed); }

    image_verifier(private_tag, std::shared_ptr<image_device> image, worker_pool& workers, bool one_reads, handler done,
                   std::vector<bool> only, bool skip_unreadable);

private:
    /// Pieces that one worker checks together.
    class group;

    /// The next piece to read; the number of pieces if none is left.
    [[nodiscard]] std::int32_t take_next();
    [[nodiscard]] group take_group();
    void submit();
    void verify_next();
    void verify(piece_index piece, std::unique_lock<std::mutex>& reader);
    void verify(group& pieces);
    /// \param matches nothing if the check was cancelled.
    void record(piece_index piece, std::optional<bool> matches);
    /// \p piece cannot be checked.
    void fail(piece_index piece, io_error error);
    void leave();
    void list_differing();

    std::shared_ptr<image_device> const m_image;
    worker_pool& m_workers;
    handler const m_done;
    bool const m_one_reads;
    std::vector<bool> const m_only; ///< see start()
    bool const m_skip_unreadable;   ///< likewise
    std::mutex m_reader;            ///< held by the worker that reads, if only one does
    bool const m_together;          ///< several pieces at a time take a processor little longer than one
    std::atomic<std::int32_t> m_next{0};
    std::atomic<std::int32_t> m_left; ///< pieces that no worker has taken
    std::atomic<int> m_running{0};
    std::atomic<std::int64_t> m_verified{0};
    std::atomic<bool> m_cancelled{false};
    std::atomic<bool> m_failed{false};
    std::mutex m_mutex;
    outcome m_outcome; ///< guarded by m_mutex until the last worker leaves
};

} // namespace seedbed
