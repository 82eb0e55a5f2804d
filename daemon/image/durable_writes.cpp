#include "daemon/image/durable_writes.hpp"

#include <utility>

namespace seedbed {

namespace {

using image_call = result<void, io_error> (image_device::*)();

void when_written(std::shared_ptr<served_image> const& image, image_call flush,
                  std::function<void(durable_writes const&)> then) {
    // Weak, because the image owns the queue's jobs and dirty blocks, and so this handler.
    image->io().when_written([weak = std::weak_ptr(image), flush, then = std::move(then)] {
        auto const alive = weak.lock();
        if (!alive) {
            return;
        }
        auto const written = std::chrono::steady_clock::now();
        alive->calls().submit([alive, flush, written, then] { then({written, (*alive.*flush)()}); });
    });
}

} // namespace

void make_durable(std::shared_ptr<served_image> const& image, std::function<void(durable_writes const&)> then) {
    when_written(image, &image_device::flush, std::move(then));
}

void complete_image(std::shared_ptr<served_image> const& image, std::function<void(durable_writes const&)> then) {
    when_written(image, &image_device::complete, std::move(then));
}

} // namespace seedbed
