#pragma once

#include <cstdint>

#include <boost/asio/steady_timer.hpp>

#include "core/device/device_identity.hpp"
#include "core/foundation/error.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/main_calls.hpp"

namespace seedbed {

/// Checks the source of a seed every few seconds, while it is served or verified, and fails the image if the source is
/// gone, has been replaced, or has been written to. With allow_mounted, writes are only logged, once.
///
/// Threads: confined to the main thread; a worker examines the source.
class source_watch {
public:
    /// \param opened the source when it was opened; empty if it could not be identified: only its absence is then
    /// detected.
    source_watch(image_context& image, device_identity opened);

    /// Starts or stops the timer as the image's state requires. Must be called after each change of the state.
    void arm();

private:
    enum class tolerance : std::uint8_t { strict, logged };

    [[nodiscard]] bool watches() const;
    void on_looked(result<device_identity> const& now);
    /// \return whether the image continues.
    [[nodiscard]] bool accept(device_identity const& now);

    image_context& m_context;
    device_identity const m_opened;
    tolerance m_writes = tolerance::strict; ///< logged: writes have been logged once, which is enough
    boost::asio::steady_timer m_timer;
    main_calls m_calls;
};

} // namespace seedbed
