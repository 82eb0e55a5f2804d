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
/// Threads: any. A turn's beginning blocks while another thread has one for the same piece: both are hash workers, and
/// the one that is waited for never waits for the other.
class hashed_once {
public:
    explicit hashed_once(std::int32_t pieces)
        : m_good(static_cast<std::size_t>(pieces)) {}

    /// The only one to hash a piece, as long as it lives.
    class turn {
    public:
        turn(hashed_once& owner, std::int32_t piece)
            : m_owner(owner)
            , m_piece(piece) {
            std::unique_lock lock(m_owner.m_mutex);
            auto& in_work = m_owner.m_in_work;
            m_owner.m_ended.wait(lock, [&] { return std::ranges::find(in_work, piece) == in_work.end(); });
            in_work.push_back(piece);
            m_good = m_owner.m_good[static_cast<std::size_t>(piece)];
        }
        turn(turn const&) = delete;
        turn& operator=(turn const&) = delete;
        ~turn() {
            {
                std::scoped_lock const lock(m_owner.m_mutex);
                std::erase(m_owner.m_in_work, m_piece);
                m_owner.m_good[static_cast<std::size_t>(m_piece)] = m_good;
            }
            m_owner.m_ended.notify_all();
        }

        [[nodiscard]] bool known_good() const noexcept { return m_good; }
        void set_good() noexcept { m_good = true; }

    private:
        hashed_once& m_owner;
        std::int32_t const m_piece;
        bool m_good = false;
    };

private:
    std::mutex m_mutex; ///< guards what follows
    std::condition_variable m_ended;
    std::vector<bool> m_good;
    std::vector<std::int32_t> m_in_work; ///< at most one a hash worker
};

} // namespace seedbed
