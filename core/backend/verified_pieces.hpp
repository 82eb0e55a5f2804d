#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "core/foundation/strong.hpp"

namespace seedbed {

/// The pieces of a read-only image whose hashes were found to match the torrent. Each session has a
/// piece hashed before it serves it for the first time: if several sessions serve the image, the first one to ask has
/// the piece hashed for all.
///
/// Threads: any. The constructor of a turn blocks while another thread holds one for the same piece: both are hash
/// workers, and the holder never waits for the other.
class verified_pieces {
public:
    explicit verified_pieces(std::int32_t pieces)
        : m_good(static_cast<std::size_t>(pieces)) {}

    /// Exclusive right to hash one piece, for the lifetime of the object.
    class turn {
    public:
        turn(verified_pieces& owner, piece_index piece)
            : m_owner(owner)
            , m_piece(piece) {
            std::unique_lock lock(m_owner.m_mutex);
            auto& in_work = m_owner.m_in_work;
            m_owner.m_ended.wait(lock, [&] { return std::ranges::find(in_work, piece) == in_work.end(); });
            in_work.push_back(piece);
            m_good = m_owner.m_good[bit_of(piece)];
        }
        turn(turn const&) = delete;
        turn& operator=(turn const&) = delete;
        ~turn() {
            {
                std::scoped_lock const lock(m_owner.m_mutex);
                std::erase(m_owner.m_in_work, m_piece);
                m_owner.m_good[bit_of(m_piece)] = m_good;
            }
            m_owner.m_ended.notify_all();
        }

        [[nodiscard]] bool known_good() const noexcept { return m_good; }
        void set_good() noexcept { m_good = true; }

    private:
        verified_pieces& m_owner;
        piece_index const m_piece;
        bool m_good = false;
    };

private:
    [[nodiscard]] static std::size_t bit_of(piece_index piece) noexcept {
        return static_cast<std::size_t>(piece.value());
    }

    std::mutex m_mutex; ///< guards the members below
    std::condition_variable m_ended;
    std::vector<bool> m_good;
    std::vector<piece_index> m_in_work; ///< at most one per hash worker
};

} // namespace seedbed
