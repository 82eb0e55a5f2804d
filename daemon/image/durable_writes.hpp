#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "core/backend/served_image.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// When the last of an image's writes ended, and the outcome of the flush after it.
struct durable_writes {
    std::chrono::steady_clock::time_point written;
    result<void, io_error> flushed;
};

/// Flushes the device once every write taken so far has ended: libtorrent reports a piece as present, and a torrent as
/// finished, while blocks may still be in flight.
/// \param then called on the image's worker; never if the image is closed before that.
void make_durable(std::shared_ptr<served_image> const& image, std::function<void(durable_writes const&)> then);
/// The same for an image of which all pieces are present: writes its ends, if they are held back, after everything else
/// is durable.
void complete_image(std::shared_ptr<served_image> const& image, std::function<void(durable_writes const&)> then);

} // namespace seedbed
