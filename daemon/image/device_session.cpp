#include "daemon/image/device_session.hpp"

#include <algorithm>
#include <utility>

#include "core/foundation/free_memory.hpp"

namespace seedbed {

namespace {

/// The memory for the packed pieces of one deployment, in bytes.
std::int64_t packed_memory(settings const& in_force) {
    constexpr std::int64_t usual = std::int64_t{256} << 20; // if the kernel does not report its free memory
    auto const deployments = std::ranges::count(in_force.images, image_mode::deploy, &image_settings::mode);
    auto const half = free_memory().value_or(2 * usual) / 2;
    return in_force.memory.packed.value_or(half / std::max<std::int64_t>(deployments, 1));
}

} // namespace

void device_session::open(image_settings const& settings, bool use_checkpoint, opened_handler opened,
                          std::function<void()> closed) {
    m_phase = phase::opening;
    m_on_closed = std::move(closed);
    auto const& in_force = m_services.settings();
    image_opener opener{settings,
                        in_force.memory.max_torrent,
                        packed_memory(in_force),
                        in_force.profiles,
                        use_checkpoint,
                        m_services,
                        m_calls.posted([this] { on_closed(); })};
    auto began = m_calls.posted([this](clock::time_point since) { m_opening_since = since; });
    auto done = m_calls.posted([this, opened = std::move(opened)](result<opened_image, image_failure> const& outcome) {
        on_opening_ended();
        m_phase = outcome ? phase::open : phase::closed;
        m_image = outcome ? outcome->image : nullptr;
        opened(outcome);
    });
    m_services.setup.submit([opener = std::move(opener), began = std::move(began), done = std::move(done)] {
        began(clock::now());
        done(opener.open());
    });
}

void device_session::replace_worker() {
    if (m_opening_since && !std::exchange(m_worker_replaced, true)) {
        m_services.setup.lend_thread();
    }
}

void device_session::on_opening_ended() {
    m_opening_since.reset();
    if (std::exchange(m_worker_replaced, false)) {
        m_services.setup.return_thread();
    }
}

void device_session::release() {
    if (m_phase != phase::open) {
        return;
    }
    m_phase = phase::closing;
    m_last = moved();
    m_services.shared->remove_image(backend::key_of(m_image->torrent()));
    m_image.reset();
}

device_session::traffic device_session::moved() const {
    return m_image ? traffic{m_image->bytes_read(), m_image->bytes_written(), m_image->bytes_taken()} : m_last;
}

void device_session::on_closed() {
    if (m_phase != phase::closing) {
        return; // refused by the backend: the image was never open here
    }
    m_phase = phase::closed;
    auto const closed = std::move(m_on_closed);
    closed(); // may destroy this object
}

} // namespace seedbed
