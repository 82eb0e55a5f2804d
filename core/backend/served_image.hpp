#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "core/backend/image_device.hpp"
#include "core/backend/image_io.hpp"
#include "core/backend/piece_hasher.hpp"
#include "core/backend/verified_pieces.hpp"
#include "core/device/block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// The parts that an image shares with all others. The cache and the workers must outlive it.
struct image_environment {
    std::uint32_t number = 0; ///< the image's number in the cache
    piece_cache& cache;
    worker_pool& hash_workers;
    engine_options engine;
    hasher_options hashing;
};

/// An image on its device with everything needed to serve it. Each part uses only those before it: the image_device,
/// then the image_io, then the piece_hasher. Built in one step by backend::make_image().
///
/// Shared by all sessions that serve the image and by the jobs in flight; the device is closed with the last owner.
///
/// Threads: every member may be called from any thread.
class served_image : public image_device {
public:
    /// Throws std::system_error or std::bad_alloc if the system provides no threads or no memory.
    served_image(image_torrent torrent, std::unique_ptr<block_device> device, io_profile const& profile,
                 image_environment environment);

    [[nodiscard]] image_io& io() noexcept { return m_io; }
    [[nodiscard]] piece_hasher& hasher() noexcept { return m_hasher; }
    /// Used only if the device is read-only.
    [[nodiscard]] verified_pieces& verified() noexcept { return m_verified; }
    /// From now on, sessions that add the image's torrent read a piece only once its SHA-1 has been compared with the
    /// torrent; a difference is reported as piece_differs. Without effect if the device can be written, or on v2 and
    /// hybrid torrents, whose hashes libtorrent compares itself.
    void verify_before_reads() noexcept;
    [[nodiscard]] bool verifies_before_reads() const noexcept {
        return m_verify_before_reads.load(std::memory_order_relaxed);
    }
    /// After a failed write: lets later writes reach the device again. To be called while none is under way.
    void retry_writes();
    /// A worker for calls that block: flushes.
    [[nodiscard]] worker_pool& calls() noexcept { return m_calls; }
    /// The progress of transfers and calls combined; stalled since the earlier of the two.
    [[nodiscard]] worker_pool::progress progress() const;
    /// Applies the settings of the profile that can change while the device is in use.
    void set_profile(io_profile const& profile) { m_io.set_profile(profile); }

private:
    verified_pieces m_verified;
    std::atomic<bool> m_verify_before_reads{false};
    worker_pool m_calls;
    image_io m_io;
    piece_hasher m_hasher;
};

} // namespace seedbed
