#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/error.hpp"
#include "daemon/image/written_content.hpp"

namespace seedbed {

/// To what extent the data on a device is known to be correct.
enum class image_proof : std::uint8_t {
    none,
    durable, ///< complete and flushed
    verified ///< durable, and read back
};

/// The work of an image while its device is open: deploying or seeding.
///
/// Threads: confined to the main thread. The runner drops events that arrive after the image has ended, except
/// on_pieces(), which arrives while it leaves the swarm.
class image_run {
public:
    virtual ~image_run() = default;

    /// The device is open. Must be called once.
    virtual void begin() = 0;
    /// After each change of state.
    virtual void on_state() = 0;
    /// After a reload has changed the image's settings, or `resume.interval`.
    virtual void on_settings() = 0;
    virtual void on_resume_interval() = 0;

    /// The image has left the swarm only in order to join it again.
    virtual void rejoin() = 0;

    // Events of the swarm; see torrent_listener.
    virtual void on_checked() = 0;
    virtual void on_complete() = 0;
    virtual void on_content_differs() = 0;
    virtual void on_pieces(std::vector<bool> const& written) = 0;
    virtual void on_piece_damaged(int piece) = 0;
    virtual void on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) = 0;
    virtual void on_progress() = 0;

    /// The image has failed.
    virtual void on_failed(std::string const& reason) = 0;
    /// Cancels work in the background.
    virtual void cancel() = 0;
    /// The image has left the swarm: makes the written data durable. \p then is called with the outcome.
    virtual void finish(std::function<void(result<void, io_error> const&)> then) = 0;

    [[nodiscard]] virtual image_proof proof() const = 0;
    /// The content of the device after it was written and examined.
    [[nodiscard]] virtual written_content const& content() const = 0;
    /// The damaged pieces that peers have sent, by "ADDRESS:PORT".
    [[nodiscard]] virtual std::map<std::string, int> damage() const = 0;
    /// Of the running verification.
    [[nodiscard]] virtual std::int64_t verified_bytes() const = 0;
};

} // namespace seedbed
