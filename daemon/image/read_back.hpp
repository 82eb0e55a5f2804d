#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "core/backend/image_verifier.hpp"
#include "core/foundation/error.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/main_calls.hpp"
#include "daemon/image/verification.hpp"

namespace seedbed {

/// Reads back the pieces that a flush has made durable while the others are still downloaded, so that little is left to
/// verify at the end. Only on a device without a head: on a disk, the reads would slow down the writes.
///
/// A piece that differs or cannot be read ends the reading back. The verification after the download decides what that
/// means: it reads all pieces that have not been found correct here.
///
/// Threads: confined to the main thread; the work runs on the backend's hash workers.
class read_back {
public:
    explicit read_back(image_context& image);

    /// Starts or stops the timer as required by the image's state, its profile and `verify`. Must be called after each
    /// change of the state.
    void arm();
    /// The answer of the swarm: the pieces on the device; none while it is checked.
    void on_pieces(std::vector<bool> const& written);
    /// Starts no more reads, and calls \p then when the current one has ended: immediately if none is running.
    void finish(std::function<void()> then);
    /// Stops reading and forgets everything, also the call that finish() has promised.
    void reset();

    /// The pieces that have not been found correct, one bit each; empty if that is all of them.
    [[nodiscard]] std::vector<bool> unread() const;
    /// Bytes of the device in the pieces that have been found correct.
    [[nodiscard]] std::int64_t right_bytes() const noexcept { return m_right_bytes; }

private:
    void flush();
    void on_flushed(result<void, io_error> const& outcome);
    void on_read(image_verifier::outcome const& outcome);
    void end();

    image_context& m_context;
    std::vector<bool> m_right;   ///< pieces that match the torrent on the medium; empty if there are none
    std::vector<bool> m_current; ///< pieces that are being flushed and read; empty if there are none
    std::int64_t m_right_bytes = 0;
    bool m_found_wrong = false;
    std::uint64_t m_flush = 0;    ///< number of the last flush
    std::function<void()> m_then; ///< of finish()
    verification m_verification;
    boost::asio::steady_timer m_timer;
    main_calls m_calls;
};

} // namespace seedbed
