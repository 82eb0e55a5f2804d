#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "core/foundation/error.hpp"
#include "daemon/image/checkpoint.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/main_calls.hpp"

namespace seedbed {

/// Keeps the checkpoint of one deployment: saves it at each interval of a download, when the image is complete, and at
/// the end. Before a checkpoint is saved, the device is flushed, on the image's own worker, one after another. It lists
/// no piece of the image's ends before the image is complete.
///
/// Threads: confined to the main thread.
class checkpoint_keeper {
public:
    /// \param placement of the image on its device, see checkpoint.
    checkpoint_keeper(image_context& image, std::string placement);

    /// Starts or stops the timer as required by the image's state, the swarm and `resume.interval`. Must be called
    /// after each change of one of them.
    void arm();
    /// The answer of the swarm: the pieces that a flush makes durable; none while the device is checked.
    void on_pieces(std::vector<bool> const& written);
    /// The image is complete and durable.
    void save_complete();
    /// The deployment is done. Until remove(), later checkpoints are redundant.
    void save_done(bool verified);
    /// The same for an image that was done when it was opened: its checkpoint is kept.
    void keep_done() { m_phase = phase::done; }
    /// Flushes, and saves the pieces of the last on_pieces(). \p then is called with the outcome of the flush.
    void save_last(std::function<void(result<void, io_error> const&)> then);
    void remove();
    /// The download is about to write to the device: clears `at_rest` in the checkpoint, so that a start after a crash
    /// reads back the pieces that it lists.
    void mark_in_use(checkpoint what);

private:
    enum class phase : std::uint8_t {
        idle,
        saving, ///< a periodic one, so that flushes do not queue up for a slow disk
        done
    };
    using handler = std::function<void(result<void, io_error> const&)>;

    [[nodiscard]] std::vector<bool> all_pieces() const;
    void save(std::vector<bool> pieces, bool verified, bool at_rest, handler then);

    image_context& m_context;
    std::string const m_placement;
    phase m_phase = phase::idle;
    bool m_due = false;          ///< the next on_pieces() while downloading is to be saved
    std::vector<bool> m_written; ///< pieces that a flush makes durable, as of the last on_pieces()
    boost::asio::steady_timer m_timer;
    main_calls m_calls;
};

/// Whether the image's deployment keeps and uses checkpoints.
[[nodiscard]] bool keeps_checkpoints(image_settings const& image, settings const& in_force);

} // namespace seedbed
