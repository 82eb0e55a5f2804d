#pragma once

#include <cstdint>

#include <boost/asio/steady_timer.hpp>

#include "core/device/device_identity.hpp"
#include "core/foundation/error.hpp"
#include "daemon/image/image_context.hpp"
#include "daemon/image/main_calls.hpp"

namespace seedbed {

/// Looks at the source of a seed every few seconds, while it is served or
/// verified, and fails the image if the source is gone, is another one, or was
/// written to. With allow_mounted, writes are only logged, once.
///
/// Threads: confined to the main thread; a worker looks.
class source_watch {
public:
    /// \param opened the source when it was opened; empty if it could not be
    /// identified: then only its absence is seen.
    source_watch(image_context& image, device_identity opened);

    /// Starts or stops the timer as the image's state asks for. To be called
    /// after each change of it.
    void arm();

private:
    enum class tolerance : std::uint8_t { strict, logged };

    [[nodiscard]] bool watches() const;
    void on_looked(result<device_identity> const& now);
    /// \return whether the image goes on.
    [[nodiscard]] bool accept(device_identity const& now);

    image_context& m_context;
    device_identity const m_opened;
    tolerance m_writes = tolerance::strict; ///< logged: once is enough
    boost::asio::steady_timer m_timer;
    main_calls m_calls;
};

} // namespace seedbed
