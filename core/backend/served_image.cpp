#include "core/backend/served_image.hpp"

#include <algorithm>
#include <utility>

namespace seedbed {

served_image::served_image(image_torrent torrent, std::unique_ptr<block_device> device, io_profile const& profile,
                           image_environment environment)
    : image_device(std::move(torrent), std::move(device))
    , m_verified(this->torrent().piece_count)
    , m_calls("disk-calls", 1)
    , m_io(*this, environment.number, environment.cache, profile, std::move(environment.engine))
    , m_hasher(m_io, environment.hash_workers, environment.hashing) {}

void served_image::verify_before_reads() noexcept {
    auto const applies = device().read_only() && !torrent().info->info_hashes().has_v2();
    m_verify_before_reads.store(applies, std::memory_order_relaxed);
}

void served_image::retry_writes() {
    if (forget_write_failure()) {
        m_hasher.ahead().forget_all(); // blocks that were hashed may never have reached the device
        if (packed() != nullptr) {
            packed()->forget_sha1s();
        }
    }
}

worker_pool::progress served_image::progress() const {
    auto const calls = m_calls.current_progress();
    auto const transfers = m_io.progress();
    return {calls.completed + transfers.completed, calls.pending + transfers.pending,
            std::min(calls.stalled_since, transfers.stalled_since)};
}

} // namespace seedbed
