#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

namespace seedbed {

/// Which pieces of an image that nobody writes have been hashed and are what the torrent says. libtorrent hashes each
/// piece before a session serves it the first time (torrent_flags::seed_mode): where several sessions serve the image,
/// the first one that asks has it done for all.
///
/// Threads: any. begin() blocks while another thread hashes the same piece: both are hash workers, and the one that is
/// waited for never waits for the other.
class hashed_once {
public:
    explicit hashed_once(std::int32_t pieces)
        : m_good(static_cast<std::size_t>(pieces)) {}

    /// \return true where the piece is known to be good; otherwise the caller has to hash it, and to call end().
    [[nodiscard]] bool begin(std::int32_t piece) {
        std::unique_lock lock(m_mutex);
        m_ended.wait(lock, [&] { return std::ranges::find(m_in_work, piece) == m_in_work.end(); });
        if (m_good[static_cast<std::size_t>(piece)]) {
            return true;
        }
        m_in_work.push_back(piece);
        return false;
    }

    void end(std::int32_t piece, bool good) {
        {
            std::scoped_lock const lock(m_mutex);
            std::erase(m_in_work, piece);
            m_good[static_cast<std::size_t>(piece)] = good;
        }
        m_ended.notify_all();
    }

private:
    std::mutex m_mutex; ///< guards what follows
    std::condition_variable m_ended;
    std::vector<bool> m_good;
    std::vector<std::int32_t> m_in_work; ///< at most one a hash worker
};

} // namespace seedbed
