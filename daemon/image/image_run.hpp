#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "daemon/image/written_content.hpp"

namespace seedbed {

/// How far the data on a device can be trusted.
enum class image_proof : std::uint8_t {
    none,
    durable, ///< complete and flushed
    verified ///< durable, and read back
};

/// What an image does while its device is open: it is deployed or seeded.
///
/// Threads: confined to the main thread. Events that arrive after the image has
/// ended are the runner's to drop, except on_pieces(), which comes while it
/// leaves the swarm.
class image_run {
public:
    virtual ~image_run() = default;

    /// The device is open. To be called once.
    virtual void begin() = 0;
    /// After each change of state.
    virtual void on_state() = 0;
    /// After a reload has changed the image's settings, or `resume.interval`.
    virtual void on_settings() = 0;
    virtual void on_resume_interval() = 0;

    /// The image has left the swarm only to join it again.
    virtual void rejoin() = 0;

    // Events of the swarm, see torrent_listener.
    virtual void on_checked() = 0;
    virtual void on_complete() = 0;
    virtual void on_content_differs() = 0;
    virtual void on_pieces(std::vector<bool> const& written) = 0;
    virtual void on_piece_damaged(int piece) = 0;
    virtual void on_progress() = 0;

    /// The image has failed.
    virtual void on_failed(std::string const& reason) = 0;
    /// Ends what runs in the background.
    virtual void cancel() = 0;
    /// The image has left the swarm: makes durable what was written. \p then is
    /// called with the outcome.
    virtual void finish(std::function<void(result<void, io_error> const&)> then) = 0;

    [[nodiscard]] virtual image_proof proof() const = 0;
    /// What the device holds, after it was written and examined.
    [[nodiscard]] virtual written_content const& content() const = 0;
    /// Of the verification that is running.
    [[nodiscard]] virtual std::int64_t verified_bytes() const = 0;
};

} // namespace seedbed
