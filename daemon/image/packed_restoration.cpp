#include "daemon/image/packed_restoration.hpp"

#include <utility>

namespace seedbed {

packed_restoration::packed_restoration(packed_image const& image, packed_plan const& plan,
                                       std::unique_ptr<block_device> device, device_ends const& ends)
    : m_image(image)
    , m_plan(plan)
    , m_device(std::move(device)) {
    if (m_plan.layout() == nullptr) {
        auto last = std::make_unique<ends_last_device>(std::move(m_device), m_plan.extents(), ends);
        m_ends = last.get();
        m_device = std::move(last);
    }
}

result<void, packed_plan_failure> packed_restoration::prepare(bool outside, packed_plan_events const& events) {
    auto wiped = m_plan.wipe(*m_device, outside, events);
    if (wiped && m_ends != nullptr) {
        // Every byte of the ends is written, so those that cannot be read are not missed.
        static_cast<void>(m_ends->hold_back());
    }
    if (wiped) {
        m_plan.discard(*m_device, events);
    }
    return wiped;
}

result<bool, restore_failure> packed_restoration::write(opened_packed_file const& file,
                                                        restore_options const& options) {
    auto written = write_packed(m_image, file, *m_device, options);
    if (!written || !*written || m_ends == nullptr) {
        return written;
    }
    if (auto const whole = m_ends->write_ends(); !whole) {
        return tl::make_unexpected(restore_failure{restore_failure::cause::device, whole.error().message()});
    }
    return true;
}

packed_comparison packed_restoration::verify(restore_options const& options) {
    return compare_packed(m_image, *m_device, options);
}

result<void, packed_plan_failure> packed_restoration::finish(packed_plan_events const& events) {
    return m_plan.finish(*m_device, events);
}

} // namespace seedbed
