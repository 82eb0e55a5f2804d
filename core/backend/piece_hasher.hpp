#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

#include <libtorrent/sha1_hash.hpp>

#include "core/backend/image_storage.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// What to hash of a piece. Sizes in bytes.
struct piece_hash_request {
    std::int32_t piece = 0;
    bool v1 = false;                                 ///< SHA-1 of the whole piece
    std::span<libtorrent::sha256_hash> block_hashes; ///< where not empty: SHA-256 of each block of the piece's file
    std::int32_t v2_size = 0;                        ///< bytes of the piece that belong to a v2 file, without padding
    /// Asked before a full check that had to wait for another one begins: true where nobody wants it any more. What is
    /// returned then is of no use. May be empty.
    std::function<bool()> cancelled;
    bool keep = true; ///< what has to be read stays in the cache, since somebody is about to ask for it
};

/// Hashes the pieces of one image. SHA-1 runs ahead: while a piece arrives in order, its blocks are hashed as they
/// come, still in the CPU's cache, and little is left to do when it is complete. What came out of order is caught up
/// then, what is no longer in memory is read back.
///
/// Two pieces at a time take little more of a processor than one. Where several arrive at a time, what is there of each
/// is hashed together. Where one after another arrives, and that fast, every second one waits to be hashed together
/// with the next: a piece is known some hundredths of a second later, and the processor is left to whom it is short
/// for.
///
/// Threads: every member may be called from any thread; hash() and hash_block() block, on a hash worker.
class piece_hasher {
public:
    piece_hasher(std::shared_ptr<image_storage> const& image, worker_pool& workers, hasher_options options);
    piece_hasher(piece_hasher const&) = delete;
    piece_hasher& operator=(piece_hasher const&) = delete;
    ~piece_hasher();

    /// A block of a piece is in the cache, newly written. Does not throw: without memory nothing is hashed ahead.
    void block_written(std::int32_t piece, std::int32_t block);
    /// No more blocks of the piece will come for now: what was hashed ahead is forgotten.
    void forget(std::int32_t piece);

    /// Takes a job that would only hold a worker up: others have waited for this device for a second and more. Its sink
    /// is asked again (waiter_sink::ask_again()) when they have what they want. \return false where it may run.
    [[nodiscard]] bool park(io_waiter& job);
    /// A worker has waited for this device for longest_wait: another one takes its place, so that a device that hangs
    /// does not keep other images from being hashed. \param semaphore that tells when it has what it waits for.
    template <class Semaphore>
    void wait_on(Semaphore& semaphore) noexcept {
        begin_long_wait();
        semaphore.acquire();
        end_long_wait();
    }
    static constexpr std::chrono::seconds longest_wait{1};

    /// Hashes a piece as every write before it left it. \param sha1 set where request.v1. \return the first error of a
    /// read.
    [[nodiscard]] result<void, io_error> hash(piece_hash_request const& request, libtorrent::sha1_hash& sha1);
    /// SHA-256 of \p length bytes of a piece from the start of \p block on, at most a block.
    [[nodiscard]] result<void, io_error> hash_block(std::int32_t piece, std::int32_t block, std::int32_t length,
                                                    libtorrent::sha256_hash& sha256);

private:
    struct piece_state;
    using state_ptr = std::shared_ptr<piece_state>;

    using clock = std::chrono::steady_clock;
    class lane;
    struct sha1_parts;

    void begin_long_wait() noexcept;
    void end_long_wait() noexcept;
    [[nodiscard]] state_ptr make_state(std::int32_t piece) const;
    [[nodiscard]] bool may_wait(piece_state const& state) const;
    [[nodiscard]] state_ptr take(std::int32_t piece);
    /// \return the piece's state, where a worker is to be woken for it; else null.
    [[nodiscard]] state_ptr note_written(std::int32_t piece, std::int32_t block);
    [[nodiscard]] bool wake_worker(state_ptr const& state);
    void run_ahead(state_ptr const& state);
    [[nodiscard]] bool advance(state_ptr const& state, bool together);
    [[nodiscard]] state_ptr find_partner(std::span<state_ptr const> taken) const;
    void finish_ahead(state_ptr const& state);
    void stop_waiting_for(state_ptr const& state);

    std::weak_ptr<image_storage> const m_weak; ///< for work that may come after the image
    image_storage& m_image;
    worker_pool& m_workers;
    hasher_options const m_options;
    std::mutex m_mutex;                                   ///< guards what follows, up to m_device_order
    std::unordered_map<std::int32_t, state_ptr> m_states; ///< pieces that are arriving
    state_ptr m_waiting;                                  ///< the one that waits to be hashed together with the next
    bool m_arrives_fast = false;                          ///< the last piece did
    std::condition_variable m_arrived;                    ///< more of a piece, while another one waits for that
    std::atomic<int> m_waiting_long{0};
    std::mutex m_parked_mutex; ///< guards m_parked, and what m_waiting_long turns to
    waiter_list m_parked;
    std::mutex m_device_order; ///< held by the one full check that reads, where the device has a head
};

} // namespace seedbed
