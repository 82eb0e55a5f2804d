#include "daemon/image/durable_writes.hpp"

#include <utility>

namespace seedbed {

void make_durable(std::shared_ptr<served_image> const& image, std::function<void(durable_writes const&)> then) {
    // Weak, because the image owns the queue's jobs and dirty blocks, and so this handler.
    image->io().when_written([weak = std::weak_ptr(image), then = std::move(then)] {
        auto const alive = weak.lock();
        if (!alive) {
            return;
        }
        auto const written = std::chrono::steady_clock::now();
        alive->calls().submit([alive, written, then] { then({written, alive->flush()}); });
    });
}

} // namespace seedbed
