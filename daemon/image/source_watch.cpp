#include "daemon/image/source_watch.hpp"

#include <string>
#include <utility>

namespace seedbed {

namespace {

constexpr auto stopped_seeding = "; seeding stopped";

/// Whether the device can be distinguished from another one: a block device needs a serial number or a position in the
/// sequence of disks.
bool is_identifiable(device_identity const& identity) {
    return !identity.block_device || identity.disk_sequence != 0 || !identity.serials.empty();
}

} // namespace

source_watch::source_watch(image_context& image, device_identity opened)
    : m_context(image)
    , m_opened(std::move(opened))
    , m_timer(image.services().main)
    , m_calls(image.services().main) {}

bool source_watch::watches() const {
    return m_context.state() == image_state::seeding || m_context.state() == image_state::verifying;
}

void source_watch::arm() {
    if (!watches()) {
        m_timer.cancel();
        return;
    }
    m_timer.expires_after(m_context.services().source_interval);
    m_timer.async_wait(m_calls.guarded([this](boost::system::error_code const& ec) {
        if (ec) {
            return;
        }
        auto looked = m_calls.posted([this](result<device_identity> const& now) { on_looked(now); });
        m_context.services().setup.submit(
            [device = m_context.settings().device, looked = std::move(looked)] { looked(identify_device(device)); });
    }));
}

void source_watch::on_looked(result<device_identity> const& now) {
    if (!watches()) {
        return;
    }
    if (!now) {
        m_context.fail({failure_kind::content, "the source is gone: " + now.error().message + stopped_seeding});
        return;
    }
    if (m_opened == device_identity{}) {
        return;
    }
    if (accept(*now)) {
        arm();
    }
}

bool source_watch::accept(device_identity const& now) {
    auto const& device = m_context.settings().device;
    if (is_identifiable(m_opened)) {
        if (auto const other = why_other_device(m_opened, now)) {
            m_context.fail({failure_kind::content, device + ": the source has changed: " + *other + stopped_seeding});
            return false;
        }
    }
    if (changed_since(m_opened, now) != device_change::written || m_writes == tolerance::logged) {
        return true;
    }
    auto const what =
        device + (now.block_device ? ": another program writes to the source" : ": the source has changed");
    if (!m_context.settings().allow_mounted) {
        m_context.fail({failure_kind::content, what + stopped_seeding});
        return false;
    }
    m_writes = tolerance::logged;
    log_warning(m_context.fields(),
                what + " (allow_mounted = true); pieces that were hashed before are not hashed again");
    return true;
}

} // namespace seedbed
